// What live events and actions do to the sources and running jobs on the page: pure changes of what is cached.
import type { Job, Source } from "@/api/client";
import { isLate, isOver } from "@/lib/jobs";

/** The running jobs after `job` moved on: newest first; those that are over, or only wait for late calls, left out. */
export function runningWith(jobs: readonly Job[], job: Job): Job[] {
  const rest = jobs.filter((each) => each.id !== job.id);
  if (isOver(job) || isLate(job)) return rest;
  const at = jobs.findIndex((each) => each.id === job.id);
  return at < 0 ? [job, ...rest].sort((a, b) => b.created_at.localeCompare(a.created_at)) : jobs.map((each) => (each.id === job.id ? { ...each, ...job } : each));
}

/** The list with `source` in its place, or first where it is new. */
export function withSource(sources: readonly Source[], source: Source): Source[] {
  return sources.some((each) => each.id === source.id) ? sources.map((each) => (each.id === source.id ? source : each)) : [source, ...sources];
}

/** One more call came in: which source brought it. Without a job (a webhook) only the sole account of its platform can be meant. */
export function oneMore(sources: readonly Source[], sourceId: string | null, platform: string): Source[] | null {
  const of = sources.filter((each) => each.platform === platform);
  const meant = sourceId ?? (of.length === 1 ? of[0]?.id : null);
  if (!meant || !sources.some((each) => each.id === meant)) return null;
  return sources.map((each) => (each.id === meant ? { ...each, calls_imported: each.calls_imported + 1 } : each));
}

export interface Totals {
  jobs: number;
  done: number;
  calls: number;
  waiting: number;
}

/** All that runs, summed. */
export function totals(jobs: readonly Job[]): Totals {
  return {
    jobs: jobs.length,
    done: jobs.reduce((sum, each) => sum + each.processed_calls, 0),
    calls: jobs.reduce((sum, each) => sum + each.total_calls, 0),
    waiting: jobs.filter((each) => each.status === "waiting").length,
  };
}

/** The job a card shows: what moves before what waits, and the newest of those. */
export function shownJob(jobs: readonly Job[]): Job | undefined {
  return jobs.find((each) => each.status !== "waiting") ?? jobs[0];
}

export interface Cadence {
  minutes: number | null;
  label: string;
}
const CADENCES: readonly Cadence[] = [
  { minutes: 15, label: "Every 15 minutes" },
  { minutes: 60, label: "Every hour" },
  { minutes: 360, label: "Every 6 hours" },
  { minutes: 1440, label: "Every day" },
  { minutes: null, label: "Off" },
];

function cadenceOf(minutes: number): string {
  if (minutes % 1440 === 0) return `Every ${minutes / 1440} days`;
  return minutes % 60 === 0 ? `Every ${minutes / 60} hours` : `Every ${minutes} minutes`;
}

/** The schedules to choose from, with the present one among them, and which that is. */
export function cadences(source: Pick<Source, "auto_sync" | "sync_frequency_minutes">): { all: Cadence[]; now: Cadence } {
  const minutes = source.auto_sync ? (source.sync_frequency_minutes ?? 60) : null;
  const known = CADENCES.find((each) => each.minutes === minutes);
  if (known) return { all: [...CADENCES], now: known };
  const own = { minutes, label: cadenceOf(minutes ?? 60) };
  const all = [...CADENCES, own].sort((a, b) => (a.minutes ?? Infinity) - (b.minutes ?? Infinity));
  return { all, now: own };
}

const SIGN_IN_AGAIN: ReadonlySet<string> = new Set(["access_revoked", "credential_refused", "sign_in_refused", "encryption_outdated", "invalid_secret", "no_credential"]);

/** What mends a source in error: signing in again, or, once the person has put it right at the platform, trying again. */
export const mendedBy = (reason: string | null): "connect" | "retry" => (reason && !SIGN_IN_AGAIN.has(reason) ? "retry" : "connect");

/** A day of the person's calendar as a moment: its beginning, or with `after` the beginning of the next one. */
export function dayStart(text: string, after = false): string {
  const [year, month, date] = text.split("-").map(Number) as [number, number, number];
  return new Date(year, month - 1, date + (after ? 1 : 0)).toISOString();
}

/** The day of the person's calendar `days` before `now`, as YYYY-MM-DD. */
export function daysBefore(now: Date, days: number): string {
  const at = new Date(now.getFullYear(), now.getMonth(), now.getDate() - days);
  return [at.getFullYear(), String(at.getMonth() + 1).padStart(2, "0"), String(at.getDate()).padStart(2, "0")].join("-");
}
