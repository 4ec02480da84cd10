// Jobs in words and states: pure, shared by the Hub, its toasts and whoever shows a job.
import type { Job } from "@/api/client";
import { count, moment, timeOfDay } from "./format";
import { outcome, reasonWords, syncing } from "./words";

const OVER: ReadonlySet<string> = new Set(["completed", "partial", "failed", "cancelled"]);
/** The states of a job that is not over, as the API filters by them. */
export const RUNNING = ["pending", "counting", "in_progress", "waiting"] as const;

export const isOver = (job: Pick<Job, "status">): boolean => OVER.has(job.status);

/** All is read, and what is left waits until the source has it ready: no longer anything to watch, though not over. */
export const isLate = (job: Pick<Job, "status" | "resume_at">): boolean => job.status === "waiting" && !job.resume_at;

/** `last_error` as a sentence: the API sends one, or the word of a reason. */
export function errorSentence(text: string | null | undefined): string | null {
  if (!text) return null;
  return text.includes(" ") ? text : `${reasonWords(text)}.`;
}

const GOES_ON = / ?This import goes on at [^.]*\.$/;
const UTC_TIME = /\b(\d{1,2}):(\d{2}) UTC(?: on (\d{1,2}) ([A-Z][a-z]+))?/g;

/** A sentence of the API with its times of day ("13:45 UTC", "06:00 UTC on 4 May") as the person's own clock shows them. */
export function localTimes(sentence: string, now: Date): string {
  return sentence.replace(UTC_TIME, (all, hour: string, minute: string, date?: string, month?: string) => {
    const on = date && month ? new Date(`${date} ${month} ${now.getUTCFullYear()} ${hour}:${minute} UTC`) : new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate(), Number(hour), Number(minute)));
    return Number.isNaN(on.getTime()) ? all : near(on, now);
  });
}

/** Why a job waits and when it goes on, in the person's own time: "The limit of Gong is reached. Goes on at 14:05." */
export function waitingSentence(job: Job, now: Date): string {
  const said = errorSentence(job.last_error);
  const why = said?.replace(GOES_ON, "") ?? null;
  if (why !== null && (why === said || / UTC\b/.test(why) || /\d:\d\d/.test(why))) return localTimes(why, now);
  const from = why || (job.waiting_calls ? `Waits for ${count(job.waiting_calls, "call")} that the source does not have ready yet.` : "Waits for the source.");
  return job.resume_at ? `${from} Goes on at ${near(new Date(job.resume_at), now)}.` : from;
}

function near(at: Date, now: Date): string {
  return at.toDateString() === now.toDateString() ? timeOfDay(at) : moment(at);
}

/** The live line of a job: "Syncing… 4 of 12 calls", "Counting…", or why it waits. */
export function jobLine(job: Job, now: Date): string {
  if (job.status === "counting") return "Counting…";
  if (job.status === "waiting") return waitingSentence(job, now);
  return syncing(job.processed_calls, job.total_calls);
}

export interface Said {
  tone: "success" | "info" | "error";
  title: string;
  detail?: string;
  /** Where its button leads. */
  leads?: "failed" | "job";
}

/** What is told at the end of a job, one toast each: "8 new calls imported", "Skipped 3 duplicates", "2 calls failed". */
export function endOf(job: Job, name: string): Said[] {
  if (job.status === "cancelled") return [];
  const { good, others } = outcome(job);
  const skipped = others.find((each) => each.startsWith("Skipped"));
  const updated = others.find((each) => each.endsWith("updated"));
  const said: Said[] = [];
  if (job.imported_calls) said.push({ tone: "success", title: good, detail: name });
  if (updated) said.push({ tone: "success", title: updated, detail: name });
  if (skipped) said.push({ tone: "info", title: skipped, detail: name });
  if (job.failed_calls) said.push({ tone: "error", title: `${count(job.failed_calls, "call")} failed`, detail: `${name}: nothing is lost, and each says why.`, leads: "failed" });
  if (job.status === "failed" && !job.failed_calls)
    said.push({ tone: "error", title: `${name} could not be read`, detail: errorSentence(job.last_error) ?? undefined, leads: "job" });
  if (job.waiting_calls && isLate(job)) said.push({ tone: "info", title: `${count(job.waiting_calls, "call")} will follow`, detail: `${name} does not have ${job.waiting_calls === 1 ? "it" : "them"} ready yet.` });
  if (!said.length) said.push({ tone: "info", title: "No new calls", detail: `${name} is up to date.` });
  return said;
}
