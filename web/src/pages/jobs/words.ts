// Jobs and their calls in words: how far, how long, what of what. Pure; the present is an argument.
import type { Job } from "@/api/client";
import { count, duration, left, moment, num, timeOfDay } from "@/lib/format";
import { errorSentence, isOver } from "@/lib/jobs";
import { jobTypeWords, readable } from "@/lib/words";
import type { Part } from "@/parts/Progress";
import type { JobCall } from "./change";

/** "Sync of Fathom", "Upload": the name of a job. */
export function jobTitle(job: Pick<Job, "job_type" | "source_app">, source: string): string {
  const kind = jobTypeWords(job.job_type);
  return job.job_type === "upload" || !job.source_app || job.source_app === "all" ? kind : `${kind} of ${source}`;
}

/** The counts as parts of the whole; what is on its way is what is left of the bar. */
export function partsOf(job: Job): Part[] {
  const discarded = job.processed_calls - job.imported_calls - job.updated_calls - job.skipped_calls - job.failed_calls;
  return [
    { key: "imported", value: job.imported_calls, tone: "good", label: "new" },
    { key: "updated", value: job.updated_calls, tone: "info", label: "updated" },
    { key: "skipped", value: job.skipped_calls, tone: "neutral", label: "already there" },
    { key: "waiting", value: job.waiting_calls, tone: "warn", label: "waiting" },
    { key: "failed", value: job.failed_calls, tone: "bad", label: "failed" },
    { key: "discarded", value: Math.max(0, discarded), tone: "neutral", label: "discarded" },
  ];
}

/** How far, in words: "312 of 1,000 calls", "1,000 calls", "Counting the calls…". */
export function farWords(job: Job): string {
  if (job.status === "counting" && !job.processed_calls) return "Counting the calls…";
  if (!isOver(job) && !job.total_calls) return "Looking for calls…";
  if (isOver(job) || job.processed_calls >= job.total_calls) return job.total_calls ? count(job.total_calls, "call") : "No calls";
  return `${num(job.processed_calls)} of ${count(job.total_calls, "call")}`;
}

/** How long: "about 4 minutes left" while it goes on, "took 3 seconds" once it is over; null while nobody knows. */
export function longWords(job: Job, now: Date): string | null {
  if (isOver(job)) {
    if (!job.completed_at) return null;
    const seconds = (Date.parse(job.completed_at) - Date.parse(job.started_at)) / 1000;
    return seconds < 1 ? "took less than a second" : `took ${duration(seconds)}`;
  }
  return job.estimated_completion_at ? left(new Date(job.estimated_completion_at), now) : null;
}

/** "312 of 1,000 calls, about 4 minutes left". */
export function progressWords(job: Job, now: Date): string {
  return [farWords(job), longWords(job, now)].filter(Boolean).join(", ");
}

/** What came of it, the kinds that occurred: "8 new, 3 already there, 1 failed". */
export function countWords(job: Job): string {
  return partsOf(job)
    .filter((each) => each.value > 0)
    .map((each) => `${num(each.value)} ${each.label}`)
    .join(", ");
}

export type CallFilter = "imported" | "updated" | "skipped" | "pending" | "waiting" | "failed" | "discarded";
type Status = JobCall["status"];

/** The filters of the calls of a job: which states each means, and how many there are. */
export const CALL_FILTERS: readonly { value: CallFilter; label: string; statuses: readonly Status[]; of: (job: Job) => number }[] = [
  { value: "imported", label: "New", statuses: ["imported"], of: (job) => job.imported_calls },
  { value: "updated", label: "Updated", statuses: ["updated"], of: (job) => job.updated_calls },
  { value: "skipped", label: "Already there", statuses: ["skipped"], of: (job) => job.skipped_calls },
  { value: "pending", label: "On their way", statuses: ["pending"], of: (job) => (isOver(job) ? 0 : Math.max(0, job.total_calls - job.processed_calls - job.waiting_calls)) },
  { value: "waiting", label: "Waiting", statuses: ["waiting"], of: (job) => job.waiting_calls },
  { value: "failed", label: "Failed", statuses: ["failed", "refused"], of: (job) => job.failed_calls },
  { value: "discarded", label: "Discarded", statuses: ["discarded"], of: (job) => partsOf(job).find((each) => each.key === "discarded")?.value ?? 0 },
];

const NEXT_TRY = /\s*Next try \d\d:\d\d UTC\.$/;

/** A time as one says it: "14:05" today, with the day otherwise. */
export function near(at: Date, now: Date): string {
  return at.toDateString() === now.toDateString() ? timeOfDay(at) : moment(at);
}

/** What is said of a call, with the next try in the person's own time: "Zoom is still making the transcript. Next try 14:05." */
export function callSentence(call: Pick<JobCall, "detail" | "next_retry_at" | "status">, now: Date): string | null {
  const said = call.detail?.replace(NEXT_TRY, "").trim() ?? "";
  const sentence = errorSentence(said) ?? (call.next_retry_at ? "Waiting for the source" : null);
  if (!call.next_retry_at) return sentence;
  const next = new Date(call.next_retry_at);
  const when = next <= now ? "Next try in a moment." : `Next try ${near(next, now)}.`;
  return `${(sentence ?? "").replace(/\.$/, "")}. ${when}`;
}

/** How far a recording is on its way into text, as a share; null where there is nothing to draw. */
export function transcribed(call: Pick<JobCall, "transcription">): { done: number; of: number } | null {
  const spoken = call.transcription;
  return spoken && spoken.state === "running" && spoken.chunks_total && spoken.chunks_total > 1 ? { done: spoken.chunks_done, of: spoken.chunks_total } : null;
}

/** What a call is called: its title, its file, or what the source calls it. */
export const callName = (call: Pick<JobCall, "title" | "filename" | "external_id">): string => call.title ?? call.filename ?? call.external_id ?? readable("");
