// What events do to lists of jobs and of their calls that are on the page: pure changes, so that nothing is fetched again.
import type { Job, Shape } from "@/api/client";
import { patchPages, prependPages } from "@/api/live";
import type { Pages } from "@/api/queries";

export type JobCall = Shape<"JobCall">;

/** `pages` without the items `gone` means; the same object when it means none. */
export function without<T>(pages: Pages<T>, gone: (item: T) => boolean): Pages<T> {
  if (!pages.pages.some((page) => page.items.some(gone))) return pages;
  return { ...pages, pages: pages.pages.map((page) => ({ ...page, items: page.items.filter((item) => !gone(item)) })) };
}

/** A narrowed list after `job` moved on: it comes in, is changed in its place, or leaves. */
export function jobIntoNarrowed(pages: Pages<Job>, job: Job, belongs: boolean): Pages<Job> {
  const same = (each: Job) => each.id === job.id;
  if (!belongs) return without(pages, same);
  const changed = patchPages(pages, same, (each) => ({ ...each, ...job }));
  if (changed !== pages) return changed;
  const newest = pages.pages[0]?.items[0];
  return !newest || job.created_at >= newest.created_at ? prependPages(pages, job) : pages;
}

type Key = Pick<JobCall, "source_app" | "external_id">;
export const sameCall = (one: Key, other: Key): boolean => one.source_app === other.source_app && one.external_id === other.external_id;
const before = (one: Key, other: Key): boolean =>
  one.source_app === other.source_app ? one.external_id < other.external_id : one.source_app < other.source_app;

/** What is known of a call that moved on. What is not said stays as it was. */
export type CallChange = Key & Partial<JobCall> & Pick<JobCall, "status">;

const FRESH = { filename: null, title: null, detail: null, call_id: null, failed_import_id: null, next_retry_at: null, transcription: null };

/** The calls of a job after some moved on. A new one gets its place in the order, unless that lies beyond what is loaded. */
export function callsInto(pages: Pages<JobCall>, changes: readonly CallChange[], belongs: (call: JobCall) => boolean, now: Date): Pages<JobCall> {
  let result = pages;
  for (const change of changes) {
    const found = result.pages.flatMap((page) => page.items).find((each) => sameCall(each, change));
    const call: JobCall = { ...FRESH, updated_at: now.toISOString(), ...found, ...change };
    if (!belongs(call)) result = without(result, (each) => sameCall(each, change));
    else if (found) result = patchPages(result, (each) => sameCall(each, change), () => call);
    else result = placed(result, call);
  }
  return result;
}

function placed(pages: Pages<JobCall>, call: JobCall): Pages<JobCall> {
  const page = pages.pages.findIndex((each) => each.items.some((item) => before(call, item)));
  const last = pages.pages.length - 1;
  if (page < 0 && pages.pages[last]?.next_cursor) return pages; // it comes with the next page
  const at = page < 0 ? last : page;
  return {
    ...pages,
    pages: pages.pages.map((each, index) => {
      if (index !== at) return each;
      const place = each.items.findIndex((item) => before(call, item));
      const items = place < 0 ? [...each.items, call] : [...each.items.slice(0, place), call, ...each.items.slice(place)];
      return { ...each, items };
    }),
  };
}
