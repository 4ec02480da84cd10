import { describe, expect, it } from "vitest";
import { hitsOf, lineAt, linesOf, marksOf, speakersOf, termsOf } from "./lines";

const segment = (speaker: string | null, text: string, start_ms: number, end_ms: number) => ({ speaker, text, start_ms, end_ms });
const CALL = {
  full_transcript: null,
  segments: [
    segment("Mila", "Good morning, about the budget.", 1000, 4000),
    segment("Mila", "The budget of May.", 4000, 5000),
    segment("Sam", "  ", 5000, 5100),
    segment("Sam", "Yes: 1+1 (roughly).", 6000, 10_000),
    segment(null, "Hm.", 11_000, 11_000),
  ],
};
const LINES = linesOf(CALL);

describe("lines", () => {
  it("leave out what says nothing and name a person once while they go on", () => {
    expect(LINES.map((each) => [each.speaker, each.at, each.goesOn])).toEqual([["Mila", 1, false], ["Mila", 4, true], ["Sam", 6, false], [null, 11, false]]);
  });
  it("come from the plain text where there are no times", () => {
    expect(linesOf({ segments: [], full_transcript: "One.\r\n\nTwo." }).map((each) => [each.text, each.at])).toEqual([["One.", null], ["Two.", null]]);
    expect(linesOf({ segments: [], full_transcript: null })).toEqual([]);
  });
  it("know who speaks how much, each in a colour of their own", () => {
    const speakers = [...speakersOf(LINES).values()];
    expect(speakers.map((each) => [each.name, each.hue])).toEqual([["Mila", 1], ["Sam", 2]]);
    expect(speakers.map((each) => each.share)).toEqual([0.5, 0.5]);
  });
});

describe("the line that is spoken", () => {
  it("is the last that has begun, also in a pause", () => {
    expect([0, 1, 3.99, 4.5, 5.5, 6, 99].map((each) => lineAt(LINES, each))).toEqual([-1, 0, 1, 1, 1, 2, 3]);
  });
  it("is none in a transcript without times", () => {
    expect(lineAt(linesOf({ segments: [], full_transcript: "One." }), 5)).toBe(-1);
  });
});

describe("searching", () => {
  it("finds what is written, whatever the case, also in the middle of a word and with signs in it", () => {
    expect(hitsOf(LINES, "BUDGET").map((each) => [each.line, each.start])).toEqual([[0, 24], [1, 4]]);
    expect(hitsOf(LINES, "udge")).toHaveLength(2);
    expect(hitsOf(LINES, "1+1 (rough")).toHaveLength(1);
    expect(hitsOf(LINES, "  ")).toEqual([]);
  });
  it("falls back on the words of a search of the library", () => {
    expect(hitsOf(LINES, 'morning "budget of" -yes').map((each) => each.line)).toEqual([0, 1]);
    expect(hitsOf(LINES, "may or roughly").map((each) => each.line)).toEqual([1, 2]);
  });
  it("takes words whole then", () => {
    expect(hitsOf(LINES, "rough zebra")).toEqual([]);
  });
  it("reads a search as the library does", () => {
    expect(termsOf('one "two three" -four OR five -"six seven"')).toEqual(["one", "two three", "five"]);
  });
  it("marks the hits and the one that one stands at", () => {
    const hits = hitsOf(LINES, "budget").filter((each) => each.line === 1);
    expect(marksOf("The budget of May.", hits, hits[0])).toEqual([
      { text: "The ", hit: false, current: false }, { text: "budget", hit: true, current: true }, { text: " of May.", hit: false, current: false },
    ]);
  });
});
