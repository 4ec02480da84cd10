// What the numbers of a step mean: its state in a word, what to do about it, and how high its level stands. Pure.
import type { Shape } from "@/api/client";
import { count, duration, num } from "@/lib/format";
import { stageWords } from "@/lib/words";
import type { Tone } from "@/parts/Badge";

export type Picture = Shape<"Pipeline">;
export type Step = Picture["stages"][number];

export type Condition = "stopped" | "slowed" | "held" | "working" | "quiet";
export interface Reading {
  condition: Condition;
  tone: Tone;
  word: string;
  /** What it means and what to do, where there is something to do. */
  advice: string | null;
}

/** Seconds after which it is worth saying that nothing goes on. */
const PATIENCE = 30;

/** How a step is. `oldest`: for how many seconds the oldest call of all has waited. */
export function readingOf(step: Step, oldest: number | null): Reading {
  const safe = "Calls that come meanwhile wait here and are not lost.";
  if (!step.healthy) return { condition: "stopped", tone: "bad", word: "Stopped", advice: `${step.detail || "This step does not answer."} ${safe}` };
  if (step.detail) return { condition: "slowed", tone: "warn", word: "Slowed down", advice: `${step.detail} ${safe}` };
  const held = step.waiting > 0 && step.per_second === 0;
  if (held && (oldest ?? 0) >= PATIENCE)
    return { condition: "held", tone: "warn", word: "Held up", advice: `${count(step.waiting, "call")} ${step.waiting === 1 ? "waits" : "wait"} and none went on in the last seconds. That is normal for a moment; if it stays so for minutes, look at the failed imports and at the sources in the Import Hub.` };
  if (step.per_second > 0 || held) return { condition: "working", tone: "good", word: "Working", advice: null };
  return { condition: "quiet", tone: "neutral", word: "Quiet", advice: null };
}

export const SEGMENTS = 12;

/** How many segments of the level are lit: each ten times as many is three more. */
export function level(waiting: number): number {
  return waiting <= 0 ? 0 : Math.min(SEGMENTS, Math.max(1, Math.ceil(Math.log10(waiting + 1) * 3)));
}

/** "3.2 a second", "none just now". */
export const rateWords = (perSecond: number): string => (perSecond > 0 ? `${num(perSecond, { maximumFractionDigits: perSecond < 10 ? 1 : 0 })} a second` : "none just now");

/** The whole in one sentence. */
export function summary(picture: Picture): string {
  const bad = picture.stages.filter((each) => !each.healthy);
  if (bad.length === 1) return `“${stageWords(bad[0]!.name)}” needs attention.`;
  if (bad.length) return `${count(bad.length, "step")} need attention.`;
  const waiting = picture.stages.reduce((sum, each) => sum + each.waiting, 0);
  if (!waiting) return picture.stages.some((each) => each.per_second > 0) ? "Calls flow, and none has to wait." : "Every step is ready, and no call waits.";
  const oldest = picture.oldest_waiting_seconds;
  return `${count(waiting, "call")} ${waiting === 1 ? "waits" : "wait"} for a step${oldest === null ? "" : `, the oldest for ${duration(oldest)}`}.`;
}

/** Points of a small curve, as an SVG path in a box of `width` × `height`; null while there is nothing to draw. */
export function curve(values: readonly number[], width: number, height: number): string | null {
  if (values.length < 2) return null;
  const top = Math.max(1, ...values);
  const step = width / (values.length - 1);
  return values.map((value, at) => `${at ? "L" : "M"}${(at * step).toFixed(1)} ${(height - 1 - (value / top) * (height - 2)).toFixed(1)}`).join("");
}
