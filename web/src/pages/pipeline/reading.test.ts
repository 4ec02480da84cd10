import { describe, expect, it } from "vitest";
import { curve, level, rateWords, readingOf, SEGMENTS, summary, type Picture, type Step } from "./reading";

const step = (over: Partial<Step> = {}): Step => ({ name: "dedup", waiting: 0, per_second: 0, failed: 0, workers: 1, healthy: true, detail: "", ...over });
const picture = (...stages: Step[]): Picture => ({ at: "2026-05-03T11:00:00Z", stages, failed_open: 0, oldest_waiting_seconds: null });

describe("the reading of a step", () => {
  it("tells stopped, slowed, held up, working and quiet apart", () => {
    expect(readingOf(step({ healthy: false, detail: "No worker. Start one." }), null)).toMatchObject({ condition: "stopped", tone: "bad", advice: expect.stringContaining("not lost") as string });
    expect(readingOf(step({ detail: "A worker waits." }), null).condition).toBe("slowed");
    expect(readingOf(step({ waiting: 4 }), 31).condition).toBe("held");
    expect(readingOf(step({ waiting: 4 }), 2).condition).toBe("working");
    expect(readingOf(step({ waiting: 4, per_second: 2 }), 31).condition).toBe("working");
    expect(readingOf(step(), null)).toMatchObject({ condition: "quiet", advice: null });
  });
  it("lets the level rise slowly and never beyond its top", () => {
    expect([0, 1, 9, 99, 999, 10_000_000].map(level)).toEqual([0, 1, 3, 6, 9, SEGMENTS]);
  });
  it("says rates and the whole in words", () => {
    expect([rateWords(0), rateWords(3.25), rateWords(120.4)]).toEqual(["none just now", "3.3 a second", "120 a second"]);
    expect(summary(picture(step()))).toBe("Every step is ready, and no call waits.");
    expect(summary(picture(step({ healthy: false })))).toBe("“Checking for duplicates” needs attention.");
    expect(summary({ ...picture(step({ waiting: 2, per_second: 1 })), oldest_waiting_seconds: 61 })).toBe("2 calls wait for a step, the oldest for 1 minute.");
  });
  it("draws a curve within its box", () => {
    expect(curve([1], 10, 10)).toBeNull();
    expect(curve([0, 2], 10, 10)).toBe("M0.0 9.0L10.0 1.0");
  });
});
