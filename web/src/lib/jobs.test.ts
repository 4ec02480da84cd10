import { describe, expect, it } from "vitest";
import type { Job } from "@/api/client";
import { endOf, errorSentence, jobLine, localTimes, waitingSentence } from "./jobs";

const job = (over: Partial<Job>): Job => ({
  id: "j", job_type: "sync", source_app: "gong", source_id: "s", status: "completed", total_calls: 12, processed_calls: 12, imported_calls: 0,
  updated_calls: 0, skipped_calls: 0, failed_calls: 0, waiting_calls: 0, resume_at: null, estimated_completion_at: null, last_error: null,
  created_at: "2026-05-03T10:00:00Z", started_at: "2026-05-03T10:00:00Z", completed_at: null, ...over,
});
const titles = (over: Partial<Job>) => endOf(job(over), "Gong").map((each) => each.title);

describe("the end of a job", () => {
  it("says what is new, what was there and what failed, each by itself", () => {
    expect(titles({ status: "partial", imported_calls: 8, skipped_calls: 3, failed_calls: 2 })).toEqual(["8 new calls imported", "Skipped 3 duplicates", "2 calls failed"]);
  });
  it("says that there is nothing new", () => expect(titles({})).toEqual(["No new calls"]));
  it("says nothing of what the person cancelled", () => expect(titles({ status: "cancelled", imported_calls: 3 })).toEqual([]));
  it("says why a source could not be read", () => {
    expect(endOf(job({ status: "failed", last_error: "The key was refused. Connect it again." }), "Gong")).toEqual([
      { tone: "error", title: "Gong could not be read", detail: "The key was refused. Connect it again.", leads: "job" },
    ]);
  });
});

it("a sync that waits for late calls only has ended for the person", () => {
  expect(titles({ status: "waiting", resume_at: null, imported_calls: 8, waiting_calls: 1 })).toEqual(["8 new calls imported", "1 call will follow"]);
});

describe("the line of a job", () => {
  const now = new Date(2026, 4, 3, 13, 0);
  it("counts", () => expect(jobLine(job({ status: "in_progress", processed_calls: 4 }), now)).toBe("Syncing… 4 of 12 calls"));
  it("says why it waits, with the time of the person's own clock", () => {
    const waiting = job({ status: "waiting", last_error: "The limit of Gong is reached. This import goes on at 23:59 UTC.", resume_at: new Date(2026, 4, 3, 14, 5).toISOString() });
    expect(waitingSentence(waiting, now)).toMatch(/^The limit of Gong is reached\. Goes on at 0?(2|14):05/);
  });
  it("leaves a sentence alone that says the time itself", () => {
    expect(waitingSentence(job({ status: "waiting", last_error: "Waits for your processing window, opens at 20:00.", resume_at: now.toISOString() }), now)).toBe("Waits for your processing window, opens at 20:00.");
  });
  it("shows times of day by the person's clock", () => {
    const at = new Date(Date.UTC(2026, 4, 3, 13, 45));
    const shown = new Intl.DateTimeFormat(undefined, { timeStyle: "short" }).format(at);
    expect(localTimes("No more requests until 13:45 UTC. It goes on then.", at)).toBe(`No more requests until ${shown}. It goes on then.`);
    expect(waitingSentence(job({ status: "waiting", last_error: "No more requests until 13:45 UTC. This import goes on at 13:46 UTC.", resume_at: at.toISOString() }), at)).toBe(`No more requests until ${shown}.`);
  });
  it("turns the word of a reason into a sentence", () => expect(errorSentence("vendor_failing")).toBe("The source has trouble."));
});
