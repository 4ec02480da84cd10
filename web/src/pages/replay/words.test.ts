import { describe, expect, it } from "vitest";
import { day } from "@/lib/format";
import { startOf } from "../library/filters";
import { again, bodyOf, fieldWords, NOTHING, resultWords, selectionWords, valueWords, wantedFrom, wantedOf, worthIt, type Replay } from "./words";

const nameOf = (platform: string) => ({ zoom: "Zoom" })[platform] ?? platform;
const REPORT = { would_import: 0, would_change: 0, unchanged: 3, older: 0, would_fail: 0, sample: [], failures: [] };
const REPLAY: Replay = {
  id: "r", status: "completed", dry_run: true, selection: {}, rate: null, total_events: 3, read_events: 3, matched_events: 3, published_events: 0, progress: 1,
  estimated_completion_at: null, total_calls: 0, processed_calls: 0, imported_calls: 0, updated_calls: 0, skipped_calls: 0, failed_calls: 0, waiting_calls: 0,
  changed_calls: 0, report: REPORT, last_error: null, created_at: "2026-05-03T10:00:00Z", started_at: "2026-05-03T10:00:00Z", completed_at: null,
};

describe("what a replay reads", () => {
  const wanted = { ...NOTHING, from: "2026-05-03", to: "2026-05-05", source: "zoom" };
  it("goes to the API by whole days and comes back as the same form", () => {
    const body = bodyOf(wanted, true, null);
    expect(body.to).toBe(startOf("2026-05-06").toISOString());
    expect(wantedFrom({ selection: { ...body } })).toEqual(wanted);
    expect(bodyOf(NOTHING, true, null)).toEqual({ from: null, to: null, source_app: null, external_id: null, dry_run: true, rate: null });
  });
  it("is started for real exactly as it was tried", () => {
    const selection = { from: "2026-05-03T10:11:12Z", external_id: "a", topic: "calls.raw.v1" };
    expect(again({ selection }, 10)).toEqual({ ...selection, to: null, source_app: null, dry_run: false, rate: 10 });
  });
  it("is read from the address", () => {
    expect(wantedOf(new URLSearchParams("source=zoom&call=abc"))).toEqual({ ...NOTHING, source: "zoom", call: "abc" });
  });
  it("is said in a sentence", () => {
    const said = (selection: Replay["selection"]) => selectionWords({ selection }, nameOf);
    const { from, to } = bodyOf(wanted, true, null);
    expect(said({})).toBe("All calls");
    expect(said({ source_app: "zoom" })).toBe("Calls of Zoom");
    expect(said({ source_app: "zoom", external_id: "x" })).toBe("One call of Zoom");
    expect(said({ from, to })).toBe(`Calls that arrived from ${day(startOf("2026-05-03"))} to ${day(startOf("2026-05-05"))}`);
    expect(said({ from: startOf("2026-05-03").toISOString() })).toBe(`Calls that arrived since ${day(startOf("2026-05-03"))}`);
  });
});

describe("what came of it", () => {
  it("of a dry run says what would happen", () => {
    expect(resultWords(REPLAY)).toBe("Would change nothing");
    expect(worthIt(REPLAY)).toBe(false);
    const found = { ...REPLAY, report: { ...REPORT, would_import: 2, would_change: 1, would_fail: 4 } };
    expect(resultWords(found)).toBe("2 would be imported, 1 would change, 4 would fail");
    expect(worthIt(found)).toBe(true);
  });
  it("for real says what happened", () => {
    const real = { ...REPLAY, dry_run: false, report: null, total_calls: 5 };
    expect(resultWords(real)).toBe("Nothing had changed");
    expect(resultWords({ ...real, imported_calls: 1, updated_calls: 2, failed_calls: 1 })).toBe("1 call imported, 2 updated, 1 failed");
    expect(resultWords({ ...real, status: "in_progress" })).toBe("Importing…");
    expect(resultWords({ ...real, status: "failed", total_calls: 0 })).toBe("It did not work");
  });
  it("names fields and values in words", () => {
    expect(fieldWords("full_transcript")).toBe("Transcript");
    expect(fieldWords("some_field")).toBe("Some field");
    expect(valueWords(null)).toBe("nothing");
    expect(valueWords(["Mila"])).toBe('["Mila"]');
    expect(valueWords([{ name: "Mila", email: "m@acme.example" }, { name: null, phone: "415" }])).toBe("Mila, 415");
  });
});
