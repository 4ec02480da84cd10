// The head of a job: how far it is, in words and as a level, what it waits for, and what came of it.
import type { Job } from "@/api/client";
import { useCalm } from "@/lib/calm";
import { errorSentence, isOver, waitingSentence } from "@/lib/jobs";
import { outcome } from "@/lib/words";
import { Card, Note, Progress, StackedBar, StatusBadge, Time, useNow } from "@/parts";
import { partsOf, progressWords } from "./words";

function headline(job: Job, now: Date): string {
  if (!isOver(job)) return progressWords(job, now);
  const { good, others } = outcome(job);
  if (job.status === "cancelled") return "Cancelled. What was accepted before still arrives.";
  return [good, ...others].join(" · ");
}

export function JobHead({ job }: { job: Job }) {
  const now = useNow();
  const over = isOver(job);
  const words = headline(job, now);
  const counting = job.status === "counting" || (!over && !job.total_calls);
  const error = errorSentence(job.last_error);
  const said = useCalm(words, over);
  return (
    <Card className="mb-5">
      <div className="mb-3 flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <p className="min-w-0 font-serif text-xl font-semibold text-pretty">{words}</p>
        <StatusBadge of="job" state={job.status} />
      </div>
      <p role="status" className="sr-only">{said}</p>
      {!over && (
        <div className={counting ? "mb-4" : "sr-only"}>
          <Progress label="How far this import is" value={job.processed_calls} max={counting ? null : job.total_calls} text={words} hideText />
        </div>
      )}
      <StackedBar className={counting ? "hidden" : undefined} label="Calls" parts={partsOf(job)} total={job.total_calls} />
      {job.status === "waiting" && <div className="mt-4"><Note tone="warn">{waitingSentence(job, now)}</Note></div>}
      {job.status === "failed" && error && <div className="mt-4"><Note tone="bad">{error}</Note></div>}
      <p className="mt-4 flex flex-wrap gap-x-5 gap-y-1 text-sm text-soft">
        <span>Started <Time at={job.started_at} /></span>
        {job.completed_at && <span>{job.status === "cancelled" ? "Cancelled" : "Finished"} <Time at={job.completed_at} /></span>}
        {over && <span>{progressWords(job, now)}</span>}
      </p>
    </Card>
  );
}
