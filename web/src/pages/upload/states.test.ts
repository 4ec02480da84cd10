import { describe, expect, it } from "vitest";
import { ApiProblem, type Shape } from "@/api/client";
import { limit, refusal } from "./formats";
import { answered, ended, heard, looked, MAX_TRIES, refusedBy, summary, unsent, type Upload } from "./states";

const upload = (over: Partial<Upload> = {}): Upload => ({
  id: "k", name: "call.mp3", size: 100, state: "sending", sent: 50, tries: 1, words: null, jobId: null, externalId: null, callId: null, failedId: null, parts: null, ...over,
});
const call = (over: Partial<Shape<"JobCall">> = {}): Shape<"JobCall"> => ({
  source_app: "upload", external_id: "e", filename: "call.mp3", title: null, status: "pending", detail: null, call_id: null, failed_import_id: null, next_retry_at: null, transcription: null, updated_at: "2026-05-03T10:00:00Z", ...over,
});

describe("what can be uploaded", () => {
  it("is left to the server where the name does not settle it", () => expect(refusal({ name: "call.mp3", size: 5 })).toBeNull());
  it("is no document, nothing empty, nothing too large, each with its reason", () => {
    expect(refusal({ name: "plan.PDF", size: 5 })).toContain("plan.PDF is a document");
    expect(refusal({ name: "call.mp3", size: 0 })).toContain("is empty");
    expect(refusal({ name: "talk.vtt", size: 21 * 1024 ** 2 })).toContain(limit(20 * 1024 ** 2));
  });
});

describe("the answer to a file", () => {
  it("takes it on its way", () => {
    const next = answered(upload(), { job_id: "j", calls: [{ external_id: "e", filename: "call.mp3", status: "accepted", reason: null, message: null }] });
    expect([next.state, next.jobId, next.externalId, next.sent]).toEqual(["working", "j", "e", 100]);
  });
  it("refuses it with the reason of the file, and for good", () => {
    const next = refusedBy(upload(), new ApiProblem(422, "unsupported_format", "None of these.", null, { calls: [{ message: "call.mp3 holds a picture." }] }));
    expect([next.state, next.words]).toEqual(["refused", "call.mp3 holds a picture."]);
  });
  it("is asked for again by itself after a lost connection, a few times", () => {
    const lost = new ApiProblem(0, "no_connection", "Lost.");
    expect(refusedBy(upload(), lost).state).toBe("paused");
    expect(refusedBy(upload({ tries: MAX_TRIES }), lost).state).toBe("stopped");
    expect(refusedBy(upload(), new ApiProblem(409, "still_running", "Still running.")).state).toBe("paused");
  });
  it("leaves it to the person when the month is used up or the disk is full", () => {
    expect(refusedBy(upload(), new ApiProblem(402, "quota_used_up", "Used up.")).state).toBe("stopped");
    expect(refusedBy(upload(), new ApiProblem(507, "disk_full", "Full.")).state).toBe("stopped");
  });
  it("is not an answer when the person cancelled", () => expect(refusedBy(upload(), new ApiProblem(0, "cancelled", "")).state).toBe("cancelled"));
});

describe("an accepted file", () => {
  it("shows the parts of its transcription", () => {
    const next = looked(upload({ state: "working" }), call({ transcription: { state: "running", chunks_done: 3, chunks_total: 7 } }));
    expect([next.state, next.words, next.parts]).toEqual(["working", "Transcribing: 3 of 7 parts", { done: 3, total: 7 }]);
  });
  it("ends in the library, beside its twin, or with its reason", () => {
    expect(looked(upload(), call({ status: "imported", call_id: "c" }))).toMatchObject({ state: "done", callId: "c" });
    expect(looked(upload(), call({ status: "skipped", call_id: "c" }))).toMatchObject({ state: "duplicate", callId: "c" });
    expect(looked(upload(), call({ status: "failed", detail: "It has no sound.", failed_import_id: "f" }))).toMatchObject({ state: "failed", words: "It has no sound.", failedId: "f" });
  });
  it("hears its end from live events", () => {
    expect(heard(upload({ state: "working" }), { call_id: "c" })).toMatchObject({ state: "done", callId: "c" });
    expect(heard(upload({ state: "working" }), { reason: "unchanged" }).state).toBe("duplicate");
    expect(heard(upload({ state: "working" }), { reason: "erased" }).state).toBe("refused");
    expect(heard(upload({ state: "working" }), { reason: "media_empty", message: "" }).words).toBe("The recording is empty.");
  });
});

it("a summary counts what is left to send apart from what is refused", () => {
  const sum = summary([upload(), upload({ state: "waiting", sent: 0 }), upload({ state: "refused", sent: 0, size: 900 }), upload({ state: "done", sent: 100 }), upload({ state: "cancelled" })]);
  expect(sum).toMatchObject({ total: 4, unsent: 2, done: 1, bad: 1, bytes: 300, sent: 150 });
  expect([unsent(upload({ state: "paused" })), ended(upload({ state: "stopped" }))]).toEqual([true, true]);
});
