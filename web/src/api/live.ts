// What live events do to what is already on the page: pure changes of cached lists, so that nothing is fetched again.
import type { Job } from "./client";
import type { Page, Pages } from "./queries";

/** Replace the items of `pages` that `same` means by `change(item)`; the same object comes back when none is meant. */
export function patchPages<T>(pages: Pages<T>, same: (item: T) => boolean, change: (item: T) => T): Pages<T> {
  let touched = false;
  const changed = pages.pages.map((page): Page<T> => {
    if (!page.items.some(same)) return page;
    touched = true;
    return { ...page, items: page.items.map((item) => (same(item) ? change(item) : item)) };
  });
  return touched ? { ...pages, pages: changed } : pages;
}

/** Put `item` before the first of `pages`. */
export function prependPages<T>(pages: Pages<T>, item: T): Pages<T> {
  const [first, ...rest] = pages.pages;
  return first ? { ...pages, pages: [{ ...first, items: [item, ...first.items] }, ...rest] } : pages;
}

/** Whether the list under `key` shows every job, so that a new one belongs on top. */
export function unfiltered(key: readonly unknown[]): boolean {
  const filters = key[1];
  if (filters === undefined || filters === null) return true;
  return typeof filters === "object" && Object.values(filters).every((each) => each === undefined || each === null || each === "");
}

/** A list of jobs after `job` moved on. */
export function jobInto(pages: Pages<Job>, job: Job, mayAdd: boolean): Pages<Job> {
  const changed = patchPages(pages, (each) => each.id === job.id, (each) => ({ ...each, ...job }));
  if (changed !== pages || !mayAdd) return changed;
  const newest = pages.pages[0]?.items[0];
  return !newest || job.created_at >= newest.created_at ? prependPages(pages, job) : pages;
}

/** How long to wait before the next try to connect, in milliseconds: 1, 2, 4 … 30 s, spread by `chance` (0 to 1). */
export const backoff = (tries: number, chance: number): number => Math.min(30_000, 1000 * 2 ** tries) * (0.75 + chance / 2);
