import { describe, expect, it } from "vitest";
import { day, timeOfDay } from "@/lib/format";
import { dayIn, dayName, missing, monthShifted, monthsOf, stretchOf, stretchWords, type Known } from "./days";

const at = (month: number, day: number, hour = 0, minute = 0) => new Date(2026, month - 1, day, hour, minute);
const NOW = at(5, 20, 12);
const KNOWN: Known = {
  from: at(5, 2, 6),
  to: at(5, 19, 18),
  gaps: [{ from: at(5, 3, 9), to: at(5, 3, 17, 30) }, { from: at(5, 6, 22), to: at(5, 8, 6) }],
};

describe("a day", () => {
  it("says what matters most of it", () => {
    const kinds = [1, 2, 3, 4, 6, 7, 8, 19, 20, 21].map((day) => dayIn(`2026-05-${String(day).padStart(2, "0")}`, KNOWN, NOW).kind);
    expect(kinds).toEqual(["before", "done", "gap", "done", "gap", "gap", "gap", "done", "unread", "future"]);
  });
  it("is drawn in its true parts, which fill it without a hole", () => {
    const { pieces } = dayIn("2026-05-03", KNOWN, NOW);
    expect(pieces.map((each) => each.kind)).toEqual(["done", "gap", "done"]);
    expect(pieces[0]!.start).toBe(0);
    expect(pieces[1]!.start).toBeCloseTo(9 / 24);
    expect(pieces[1]!.end).toBe(pieces[2]!.start);
    expect(pieces[2]!.end).toBe(1);
  });
  it("before anything is known is one before the first import", () => {
    expect(dayIn("2026-05-03", null, NOW).kind).toBe("before");
    expect(dayIn("2026-05-21", null, NOW).kind).toBe("future");
  });
});

describe("its name", () => {
  it("holds the date and what is the matter", () => {
    const name = (date: string) => dayName(dayIn(date, KNOWN, NOW));
    expect(name("2026-05-03")).toBe(`${day(at(5, 3))}: gap, ${timeOfDay(at(5, 3, 9))}–${timeOfDay(at(5, 3, 17, 30))}`);
    expect(name("2026-05-07")).toMatch(/: gap, the whole day$/);
    expect(name("2026-05-06")).toBe(`${day(at(5, 6))}: gap, ${timeOfDay(at(5, 6, 22))}–midnight`);
    expect(name("2026-05-04")).toMatch(/: imported$/);
    expect(name("2026-05-01")).toMatch(/: before the first import$/);
    expect(name("2026-05-20")).toMatch(/: not read yet$/);
    expect(name("2026-05-30")).toMatch(/: still to come$/);
  });
  it("of a stretch names each end once", () => {
    const words = (from: Date, to: Date) => stretchWords({ from, to });
    expect(words(at(5, 3, 9), at(5, 3, 17, 30))).toBe(`${day(at(5, 3))}, ${timeOfDay(at(5, 3, 9))}–${timeOfDay(at(5, 3, 17, 30))}`);
    expect(words(at(5, 6, 22), at(5, 8, 6))).toBe(`${day(at(5, 6))}, ${timeOfDay(at(5, 6, 22))} – ${day(at(5, 8))}, ${timeOfDay(at(5, 8, 6))}`);
    expect(words(at(5, 3), at(5, 4))).toBe(day(at(5, 3)));
    expect(words(at(5, 3), at(5, 5))).toBe(`${day(at(5, 3))} – ${day(at(5, 4))}`);
  });
});

describe("what a day asks to be imported", () => {
  it("is the whole gap it lies in", () => {
    expect(stretchOf(dayIn("2026-05-07", KNOWN, NOW), KNOWN, NOW)).toEqual(KNOWN.gaps[1]);
  });
  it("is the day itself where nothing is missing, and never what is still to come", () => {
    expect(stretchOf(dayIn("2026-05-04", KNOWN, NOW), KNOWN, NOW)).toEqual({ from: at(5, 4), to: at(5, 5) });
    expect(stretchOf(dayIn("2026-05-20", KNOWN, NOW), KNOWN, NOW)).toEqual({ from: at(5, 20), to: NOW });
  });
});

describe("months", () => {
  it("have all their days, oldest month first", () => {
    const months = monthsOf("2026-03", 2, KNOWN, NOW);
    expect(months.map((each) => [each.month, each.days.length])).toEqual([["2026-02", 28], ["2026-03", 31]]);
    expect(months[1]!.offset).toBe(6); // 1 March 2026 is a Sunday
  });
  it("go over the year", () => {
    expect(monthShifted("2026-01", -1)).toBe("2025-12");
    expect(monthShifted("2026-12", 1)).toBe("2027-01");
  });
  it("know how much is missing", () => {
    expect(missing(KNOWN.gaps)).toBe(8.5 * 3600 + 32 * 3600);
  });
});
