import { describe, expect, it } from "vitest";
import { blocksOf, kindOf, readableOriginal } from "./original";

describe("the original transcript", () => {
  it("stays as it is when it is text or captions", () => {
    const text = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nA line \\n with signs.";
    expect(readableOriginal(text)).toBe(text);
    expect(kindOf(text)).toBe("captions (WebVTT)");
    expect(kindOf("1\n00:00:01,000 --> 00:00:02,000\nHello")).toBe("captions (SRT)");
    expect(kindOf("{ this is no JSON")).toBe("text");
  });
  it("is indented when it is JSON, with the lines of its texts as lines", () => {
    expect(readableOriginal('[{"vtt":"One\\nTwo","n":1}]')).toBe('[\n  {\n    "vtt": "One\n      Two",\n    "n": 1\n  }\n]');
    expect(kindOf('[{"n":1}]')).toBe("JSON");
  });
  it("keeps a backslash before an n that is no line's end", () => {
    expect(readableOriginal('["C:\\\\new"]')).toBe('[\n  "C:\\\\new"\n]');
  });
  it("is cut into blocks that are the whole together", () => {
    const text = Array.from({ length: 250 }, (_, at) => `line ${at}`).join("\n");
    expect(blocksOf(text, 100)).toHaveLength(3);
    expect(blocksOf(text, 100).join("\n")).toBe(text);
  });
});
