// The jobs whose end this person wants to hear of, because they began them: "Sync now", a first sync, older calls. Kept for
// the browser's tab, so that neither a reload nor another page forgets one. `JobToasts` in the shell tells the end of each.
import { useSyncExternalStore } from "react";

export interface Followed {
  id: string;
  /** What it is about, for a person: "Fathom". */
  name: string;
}

const KEY = "callstream.following";
const TOLD = 100;
const watchers = new Set<() => void>();
let following: readonly Followed[] = [];
let told: readonly string[] = [];
restore();

function restore(): void {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "{}") as { following?: Followed[]; told?: string[] };
    following = kept.following ?? [];
    told = kept.told ?? [];
  } catch {
    // Nothing kept, or nothing that may be read: then it begins empty.
  }
}

function change(next: readonly Followed[]): void {
  following = next;
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ following, told }));
  } catch {
    // It holds until the page is left, then.
  }
  watchers.forEach((each) => each());
}

/** Tell the person how this job ends, wherever on the page they are then. Once a job. */
export function followJob(id: string, name: string): void {
  if (told.includes(id) || following.some((each) => each.id === id)) return;
  change([...following, { id, name }]);
}

/** No longer: it was told, or is gone. False when somebody else was quicker. */
export function unfollowJob(id: string): boolean {
  if (!following.some((each) => each.id === id)) return false;
  told = [...told, id].slice(-TOLD);
  change(following.filter((each) => each.id !== id));
  return true;
}

export function useFollowed(): readonly Followed[] {
  return useSyncExternalStore(
    (changed) => {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    () => following,
  );
}
