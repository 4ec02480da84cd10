import { describe, expect, it } from "vitest";
import { outcome, readable, reasonWords, stageWords, syncing } from "./words";

describe("words", () => {
  it("never shows a raw word", () => {
    expect(reasonWords("some_new_reason")).toBe("Some new reason");
    expect(stageWords("dedup")).toBe("Checking for duplicates");
    expect(readable("")).toBe("Unknown");
  });
  it("says how far a sync is", () => {
    expect(syncing(4, 12)).toBe("Syncing… 4 of 12 calls");
    expect(syncing(0, 0)).toBe("Syncing…");
  });
  it("sums a finished job up", () => {
    const job = { imported_calls: 8, updated_calls: 0, skipped_calls: 3, failed_calls: 1 };
    expect(outcome(job)).toEqual({ good: "8 new calls imported", others: ["Skipped 3 duplicates", "1 call failed"] });
    expect(outcome({ ...job, imported_calls: 0 }).good).toBe("No new calls");
  });
});
