// What live events and actions do to failed imports that are on the page: pure changes of cached lists.
import { patchPages } from "@/api/live";
import type { Pages } from "@/api/queries";
import type { Failed } from "./filters";

interface Failure {
  event_id: string | null;
  stage: string;
  reason: string;
  message: string;
}

const shows = (pages: Pages<Failed>, eventId: string): boolean => pages.pages.some((page) => page.items.some((each) => each.event_id === eventId));

/** One that came through: it stays where it is and says so. */
export function resolvedIn(pages: Pages<Failed>, eventId: string, at: string): Pages<Failed> {
  return patchPages(pages, (each) => each.event_id === eventId && each.status !== "discarded", (each) => ({ ...each, status: "resolved", resolved_at: at, next_retry_at: null }));
}

/** One that failed again. Null when the list does not show it: it is a new one. */
export function failedAgainIn(pages: Pages<Failed>, failure: Failure, at: string): Pages<Failed> | null {
  const id = failure.event_id;
  if (id === null || !shows(pages, id)) return null;
  const { stage, reason, message } = failure;
  return patchPages(pages, (each) => each.event_id === id, (each) => ({ ...each, stage, reason, message, status: "open", attempts: each.attempts + 1, last_seen_at: at, next_retry_at: null }));
}

/** These have a new state. */
export function withStatus(pages: Pages<Failed>, ids: ReadonlySet<string>, status: Failed["status"]): Pages<Failed> {
  return patchPages(pages, (each) => ids.has(each.id), (each) => ({ ...each, status, next_retry_at: null }));
}

/** Do `work` with each of `items`, `atOnce` at a time; how many went well, and the first thing that went wrong. */
export async function each<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<unknown>, told: (done: number) => void): Promise<{ good: T[]; problem: unknown }> {
  const good: T[] = [];
  let problem: unknown = null;
  let next = 0;
  let done = 0;
  const turn = async () => {
    for (let at = next++; at < items.length; at = next++) {
      const item = items[at] as T;
      try {
        await work(item);
        good.push(item);
      } catch (error) {
        problem ??= error;
      }
      told(++done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, turn));
  return { good, problem };
}
