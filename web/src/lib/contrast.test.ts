// The tokens of styles.css keep WCAG AA in both themes: text pairs 4.5 to 1, lines that carry meaning and focus 3 to 1.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const css = readFileSync(new URL("../styles.css", import.meta.url), "utf-8");

function palette(name: "light" | "dark"): Record<string, string> {
  const body = css.split(`/* ${name} */`)[1]?.split("}")[0] ?? "";
  return Object.fromEntries([...body.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map((found) => [found[1]!, found[2]!]));
}

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(one: string, two: string): number {
  const [high, low] = [luminance(one), luminance(two)].sort((a, b) => b - a);
  return (high! + 0.05) / (low! + 0.05);
}

const GROUNDS = ["page", "card", "sunken", "raised"];
const TEXTS = ["ink", "soft", "accent", "good", "warn", "bad", "info", ...Array.from({ length: 8 }, (_, at) => `speaker-${at + 1}`)];
const TEXT_PAIRS = [
  ...TEXTS.flatMap((text) => GROUNDS.map((ground) => [text, ground])),
  ...["good", "warn", "bad", "info", "accent"].flatMap((hue) => [[hue, `${hue}-wash`], ["ink", `${hue}-wash`], ["soft", `${hue}-wash`]]),
  ["on-accent", "accent"], ["on-accent", "accent-strong"], ["on-bad", "bad"], ["on-bad", "bad-strong"],
  ["on-mark", "mark"], ["page", "ink"],
];
const SHAPE_PAIRS = [...GROUNDS.map((ground) => ["line-strong", ground]), ...GROUNDS.map((ground) => ["accent", ground])];

describe.each(["light", "dark"] as const)("%s", (theme) => {
  const tokens = palette(theme);
  it.each(TEXT_PAIRS)("%s is readable on %s", (text, ground) => {
    expect(contrast(tokens[text!]!, tokens[ground!]!)).toBeGreaterThanOrEqual(4.5);
  });
  it.each(SHAPE_PAIRS)("%s can be seen on %s", (shape, ground) => {
    expect(contrast(tokens[shape!]!, tokens[ground!]!)).toBeGreaterThanOrEqual(3);
  });
});
