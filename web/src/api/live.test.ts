import { describe, expect, it } from "vitest";
import type { Job } from "./client";
import { backoff, jobInto, patchPages, unfiltered } from "./live";
import type { Pages } from "./queries";

const job = (id: string, created: string, processed = 0) => ({ id, created_at: created, processed_calls: processed }) as Job;
const pages: Pages<Job> = {
  pages: [
    { items: [job("b", "2026-05-02T00:00:00Z")], next_cursor: "x" },
    { items: [job("a", "2026-05-01T00:00:00Z")], next_cursor: null },
  ],
  pageParams: [null, "x"],
};

describe("live", () => {
  it("changes a job where it stands, and leaves other pages the same objects", () => {
    const after = jobInto(pages, job("a", "2026-05-01T00:00:00Z", 7), true);
    expect(after.pages[1]!.items[0]!.processed_calls).toBe(7);
    expect(after.pages[0]).toBe(pages.pages[0]);
  });
  it("puts a new job on top of an unfiltered list only", () => {
    const fresh = job("c", "2026-05-03T00:00:00Z");
    expect(jobInto(pages, fresh, true).pages[0]!.items.map((each) => each.id)).toEqual(["c", "b"]);
    expect(jobInto(pages, fresh, false)).toBe(pages);
  });
  it("does not pull an old job, not loaded yet, to the top", () => {
    expect(jobInto(pages, job("0", "2026-04-01T00:00:00Z"), true)).toBe(pages);
  });
  it("answers the same object when nothing is meant", () => {
    expect(patchPages(pages, () => false, (each) => each)).toBe(pages);
  });
  it("knows a list without filters", () => {
    expect([unfiltered(["jobs"]), unfiltered(["jobs", { status: "" }]), unfiltered(["jobs", { status: "failed" }])]).toEqual([true, true, false]);
  });
  it("waits longer each time, and never more than about half a minute", () => {
    expect([backoff(0, 0.5), backoff(3, 0.5), backoff(20, 1)]).toEqual([1000, 8000, 37_500]);
  });
});
