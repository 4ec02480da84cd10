import { describe, expect, it } from "vitest";
import type { Job, Source } from "@/api/client";
import { cadences, daysBefore, dayStart, mendedBy, oneMore, runningWith, shownJob, totals, withSource } from "./change";

const job = (over: Partial<Job>): Job => ({
  id: "a", job_type: "sync", source_app: "gong", source_id: "s", status: "in_progress", total_calls: 12, processed_calls: 4, imported_calls: 4, updated_calls: 0, skipped_calls: 0,
  failed_calls: 0, waiting_calls: 0, resume_at: null, estimated_completion_at: null, last_error: null, created_at: "2026-05-03T10:00:00Z", started_at: "2026-05-03T10:00:00Z", completed_at: null, ...over,
});
const source = (over: Partial<Source>): Source => ({
  id: "s", platform: "gong", display_name: "Gong", account: "acme", owner_user_id: "u", state: "active", error_reason: null, error_message: null, auto_sync: true, sync_frequency_minutes: 60,
  keep_recordings: false, next_sync_at: null, last_sync_at: null, synced_until: null, calls_imported: 3, waiting_calls: 0, found_by_poll: 0, running_job_id: null, credential: null, created_at: "2026-05-03T10:00:00Z", ...over,
});

describe("running jobs", () => {
  it("keep their place when they move on", () => {
    const jobs = [job({ id: "b", created_at: "2026-05-03T11:00:00Z" }), job({})];
    expect(runningWith(jobs, job({ processed_calls: 9 })).map((each) => [each.id, each.processed_calls])).toEqual([["b", 4], ["a", 9]]);
  });
  it("begin on top", () => expect(runningWith([job({})], job({ id: "b", created_at: "2026-05-03T11:00:00Z" })).map((each) => each.id)).toEqual(["b", "a"]));
  it("are gone when they are over", () => expect(runningWith([job({})], job({ status: "completed" }))).toEqual([]));
  it("are gone when they only wait for late calls", () => expect(runningWith([job({})], job({ status: "waiting", resume_at: null }))).toEqual([]));
  it("stay while a limit holds them", () => expect(runningWith([job({})], job({ status: "waiting", resume_at: "2026-05-03T14:05:00Z" }))).toHaveLength(1));
  it("are summed", () => expect(totals([job({}), job({ id: "b", status: "waiting", resume_at: "x", total_calls: 8, processed_calls: 1 })])).toEqual({ jobs: 2, done: 5, calls: 20, waiting: 1 }));
  it("show what moves before what waits", () => expect(shownJob([job({ id: "w", status: "waiting" }), job({})])?.id).toBe("a"));
});

describe("sources", () => {
  it("are replaced in place, new ones come first", () => {
    expect(withSource([source({}), source({ id: "t" })], source({ id: "t", state: "paused" })).map((each) => each.state)).toEqual(["active", "paused"]);
    expect(withSource([source({})], source({ id: "n" })).map((each) => each.id)).toEqual(["n", "s"]);
  });
  it("count a call that came by webhook only where one account can be meant", () => {
    expect(oneMore([source({})], null, "gong")?.[0]?.calls_imported).toBe(4);
    expect(oneMore([source({}), source({ id: "t" })], null, "gong")).toBeNull();
    expect(oneMore([source({}), source({ id: "t" })], "t", "gong")?.map((each) => each.calls_imported)).toEqual([3, 4]);
  });
  it("say their schedule, one of their own included", () => {
    expect(cadences(source({})).now.label).toBe("Every hour");
    expect(cadences(source({ auto_sync: false })).now.label).toBe("Off");
    const own = cadences(source({ sync_frequency_minutes: 120 }));
    expect(own.now.label).toBe("Every 2 hours");
    expect(own.all.map((each) => each.minutes)).toEqual([15, 60, 120, 360, 1440, null]);
  });
  it("are mended by connecting again, or by trying again once it was put right there", () => {
    expect(mendedBy("credential_refused")).toBe("connect");
    expect(mendedBy("permission_missing")).toBe("retry");
  });
});

describe("days", () => {
  it("begin at the person's midnight, and the last one is included", () => {
    expect(new Date(dayStart("2026-03-01")).getHours()).toBe(0);
    expect(new Date(dayStart("2026-02-28", true)).getDate()).toBe(1);
  });
  it("are counted back over months", () => expect(daysBefore(new Date(2026, 2, 1, 23, 59), 1)).toBe("2026-02-28"));
});
