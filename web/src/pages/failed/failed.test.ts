import { describe, expect, it } from "vitest";
import type { Pages } from "@/api/queries";
import { each, failedAgainIn, resolvedIn, withStatus } from "./change";
import { canDiscard, canRetry, filtersOf, mayRetry, NONE, queryOf, retryOf, type Failed } from "./filters";
import { nextStep } from "./next";

const NOW = new Date(2026, 4, 3, 14, 0);
const failed = (over: Partial<Failed> = {}): Failed => ({
  id: "1", event_id: "e1", source_app: "zoom", external_id: "x", filename: null, job_id: null, stage: "normalize", kind: "rejected", reason: "wrong_shape", message: "No.", attempts: 1, retryable: false,
  next_retry_at: null, retried_at: null, status: "open", fingerprint: "f", first_seen_at: "2026-05-03T11:00:00Z", last_seen_at: "2026-05-03T11:00:00Z", resolved_at: null, ...over,
});
const pages = (...items: Failed[]): Pages<Failed> => ({ pages: [{ items, next_cursor: null }], pageParams: [null] });

describe("what to do next", () => {
  it("leads to signing in where the account refused", () => {
    expect(nextStep(failed({ kind: "config", reason: "credential_refused" }), "Zoom", NOW)).toMatchObject({ to: "/", sentence: expect.stringContaining("Sign in to Zoom") as string });
  });
  it("says when it is tried by itself, in the person's time", () => {
    expect(nextStep(failed({ kind: "transient", next_retry_at: new Date(2026, 4, 3, 14, 5).toISOString() }), "Zoom", NOW).sentence).toMatch(/by itself at (14:05|2:05.PM)\. Retry tries at once\.$/);
    expect(nextStep(failed({ next_retry_at: new Date(2026, 4, 3, 13, 5).toISOString() }), "Zoom", NOW).sentence).toContain("in a moment");
  });
  it("has a sentence for every kind and state", () => {
    for (const kind of ["config", "transient", "rejected", "bug"])
      for (const status of ["open", "retrying", "resolved", "parked", "discarded"] as const) expect(nextStep(failed({ kind, status }), "Zoom", NOW).sentence).toMatch(/\.$/);
    expect(nextStep(failed({ kind: "transient", attempts: 6, status: "parked" }), "Zoom", NOW).sentence).toContain("6 times");
    expect(nextStep(failed({ source_app: "upload" }), "Upload", NOW).sentence).toContain("upload it again");
  });
});

describe("filters of failed imports", () => {
  it("leave out what is no state and no import", () => {
    expect(filtersOf(new URLSearchParams("state=nope&job_id=12&reason=wrong_shape"))).toEqual({ ...NONE, reason: "wrong_shape" });
  });
  it("ask for every state only on request", () => {
    expect(queryOf(NONE).status).toBeUndefined();
    expect(queryOf({ ...NONE, state: "all" }).status).toHaveLength(5);
  });
  it("retry only what can be retried", () => {
    expect(retryOf({ ...NONE, state: "all" }).status).toBeUndefined();
    expect(retryOf({ ...NONE, state: "parked" }).status).toEqual(["parked"]);
    expect([mayRetry(NONE), mayRetry({ ...NONE, state: "resolved" })]).toEqual([true, false]);
    expect([canRetry(failed({ status: "retrying" })), canDiscard(failed({ status: "retrying" }))]).toEqual([false, true]);
  });
});

describe("live changes of failed imports", () => {
  it("say in its place that one came through", () => {
    expect(resolvedIn(pages(failed()), "e1", "now").pages[0]!.items[0]).toMatchObject({ status: "resolved", resolved_at: "now" });
    const gone = pages(failed({ status: "discarded" }));
    expect(resolvedIn(gone, "e1", "now")).toBe(gone);
  });
  it("tell a new one from one that failed again", () => {
    const failure = { event_id: "e1", stage: "persist", reason: "invalid_field", message: "Still no." };
    expect(failedAgainIn(pages(failed({ status: "retrying" })), failure, "now")?.pages[0]!.items[0]).toMatchObject({ status: "open", stage: "persist", attempts: 2 });
    expect(failedAgainIn(pages(failed()), { ...failure, event_id: "e2" }, "now")).toBeNull();
  });
  it("mark those that were retried", () => {
    expect(withStatus(pages(failed(), failed({ id: "2" })), new Set(["2"]), "retrying").pages[0]!.items.map((one) => one.status)).toEqual(["open", "retrying"]);
  });
});

it("does all of several things, a few at a time, whatever goes wrong", async () => {
  let running = 0;
  let most = 0;
  const told: number[] = [];
  const result = await each([1, 2, 3, 4, 5], 2, async (item) => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    running -= 1;
    if (item === 3) throw new Error("three");
  }, (done) => told.push(done));
  expect(result.good).toHaveLength(4);
  expect(result.problem).toBeInstanceOf(Error);
  expect(most).toBeLessThanOrEqual(2);
  expect(told).toEqual([1, 2, 3, 4, 5]);
});
