import { describe, expect, it } from "vitest";
import type { Job } from "@/api/client";
import type { Pages } from "@/api/queries";
import { callsInto, jobIntoNarrowed, type JobCall } from "./change";
import { filtersOf, fits, queryOf } from "./filters";
import { CALL_FILTERS, callName, callSentence, countWords, farWords, jobTitle, longWords, progressWords, transcribed } from "./words";

const NOW = new Date(2026, 4, 3, 14, 0);
const job = (over: Partial<Job> = {}): Job => ({
  id: "1", job_type: "sync", source_app: "fathom", source_id: "s", status: "in_progress", total_calls: 1000, processed_calls: 312, imported_calls: 300, updated_calls: 0,
  skipped_calls: 10, failed_calls: 2, waiting_calls: 0, resume_at: null, estimated_completion_at: new Date(2026, 4, 3, 14, 4).toISOString(), last_error: null,
  created_at: "2026-05-03T11:00:00Z", started_at: "2026-05-03T11:00:00Z", completed_at: null, ...over,
});
const call = (over: Partial<JobCall> = {}): JobCall => ({
  source_app: "fathom", external_id: "b", filename: null, title: null, status: "pending", detail: null, call_id: null, failed_import_id: null, next_retry_at: null, transcription: null, updated_at: "2026-05-03T11:00:00Z", ...over,
});
const pages = <T>(items: T[], next: string | null = null): Pages<T> => ({ pages: [{ items, next_cursor: next }], pageParams: [null] });
const ids = (of: Pages<JobCall>) => of.pages.flatMap((page) => page.items.map((each) => each.external_id));

describe("words of a job", () => {
  it("say how far it is and how long it takes", () => {
    expect(progressWords(job(), NOW)).toBe("312 of 1,000 calls, about 4 minutes left");
    expect(farWords(job({ status: "counting", processed_calls: 0 }))).toBe("Counting the calls…");
    expect(farWords(job({ status: "pending", total_calls: 0, processed_calls: 0 }))).toBe("Looking for calls…");
    expect(farWords(job({ status: "completed", total_calls: 0 }))).toBe("No calls");
    expect(longWords(job({ status: "completed", completed_at: "2026-05-03T11:00:45Z" }), NOW)).toBe("took 45 seconds");
    expect(longWords(job({ estimated_completion_at: null }), NOW)).toBeNull();
  });
  it("count only the kinds that occurred, discarded ones too", () => {
    expect(countWords(job({ processed_calls: 313 }))).toBe("300 new, 10 already there, 2 failed, 1 discarded");
    expect(CALL_FILTERS.find((each) => each.value === "pending")?.of(job({ waiting_calls: 8 }))).toBe(680);
  });
  it("name it after what it reads from", () => {
    expect(jobTitle(job(), "Fathom")).toBe("Sync of Fathom");
    expect(jobTitle(job({ job_type: "upload", source_app: "upload" }), "Upload")).toBe("Upload");
  });
});

describe("words of a call", () => {
  it("say the next try in the person's own time", () => {
    const next = new Date(2026, 4, 3, 14, 5).toISOString();
    const said = callSentence(call({ status: "waiting", detail: "Zoom is still making the transcript. Next try 12:05 UTC.", next_retry_at: next }), NOW);
    expect(said).toMatch(/^Zoom is still making the transcript\. Next try (14:05|2:05.PM)\.$/);
    expect(callSentence(call({ status: "waiting", next_retry_at: next }), NOW)).toMatch(/^Waiting for the source\. Next try/);
    expect(callSentence(call({ detail: "unchanged" }), NOW)).toBe("Nothing had changed.");
    expect(callSentence(call(), NOW)).toBeNull();
  });
  it("draw the parts of a long recording only", () => {
    expect(transcribed(call({ transcription: { state: "running", chunks_done: 1, chunks_total: 4 } }))).toEqual({ done: 1, of: 4 });
    expect(transcribed(call({ transcription: { state: "running", chunks_done: 0, chunks_total: 1 } }))).toBeNull();
    expect(callName(call({ filename: "a.mp3" }))).toBe("a.mp3");
  });
});

describe("filters of jobs", () => {
  it("come from the address, and what is unknown there is left out", () => {
    expect(filtersOf(new URLSearchParams("state=nonsense&kind=sync&source=s"))).toEqual({ state: "", kind: "sync", source: "s" });
    expect(queryOf({ state: "trouble", kind: "", source: "platform:upload" })).toEqual({ status: ["partial", "failed"], platform: "upload", source_id: undefined, job_type: undefined });
  });
  it("decide which job of an event belongs", () => {
    expect(fits(job(), { state: "running", source: "s", kind: "sync" })).toBe(true);
    expect(fits(job({ status: "completed" }), { state: "running", source: "", kind: "" })).toBe(false);
    expect(fits(job(), { state: "", source: "platform:upload", kind: "" })).toBe(false);
    expect(fits(job(), { state: "", source: "other", kind: "" })).toBe(false);
  });
  it("let a job come, change and leave", () => {
    const shown = pages([job()]);
    expect(jobIntoNarrowed(shown, job({ processed_calls: 400 }), true).pages[0]!.items[0]!.processed_calls).toBe(400);
    expect(jobIntoNarrowed(shown, job({ status: "completed" }), false).pages[0]!.items).toEqual([]);
    expect(jobIntoNarrowed(shown, job({ id: "2", created_at: "2026-05-03T12:00:00Z" }), true).pages[0]!.items.map((each) => each.id)).toEqual(["2", "1"]);
    expect(jobIntoNarrowed(shown, job({ id: "0", created_at: "2020-05-03T12:00:00Z" }), true)).toBe(shown);
  });
});

describe("calls of a job", () => {
  const all = () => true;
  it("change in their place and keep what is not said", () => {
    const after = callsInto(pages([call({ filename: "b.mp3" })]), [{ source_app: "fathom", external_id: "b", status: "imported", call_id: "c" }], all, NOW);
    expect(after.pages[0]!.items[0]).toMatchObject({ filename: "b.mp3", status: "imported", call_id: "c" });
  });
  it("come in at their place in the order", () => {
    const shown = pages([call({ external_id: "a" }), call({ external_id: "c" })]);
    expect(ids(callsInto(shown, [{ source_app: "fathom", external_id: "b", status: "pending" }], all, NOW))).toEqual(["a", "b", "c"]);
    expect(ids(callsInto(shown, [{ source_app: "fathom", external_id: "d", status: "pending" }], all, NOW))).toEqual(["a", "c", "d"]);
  });
  it("do not come in where the next page will bring them", () => {
    const shown = pages([call({ external_id: "a" })], "more");
    expect(callsInto(shown, [{ source_app: "fathom", external_id: "b", status: "pending" }], all, NOW)).toBe(shown);
  });
  it("leave a filter they no longer fit", () => {
    const after = callsInto(pages([call()]), [{ source_app: "fathom", external_id: "b", status: "imported" }], (each) => each.status === "pending", NOW);
    expect(ids(after)).toEqual([]);
  });
});
