// A job in the list: what it is, how it stands, how far it is.
import { Link } from "react-router";
import type { Job } from "@/api/client";
import { isOver, waitingSentence } from "@/lib/jobs";
import { jobTypeWords } from "@/lib/words";
import { PlatformLogo, StackedBar, StatusBadge, Time, useNow } from "@/parts";
import type { Column } from "@/parts/DataTable";
import { platformOf, useJobSource } from "./data";
import { countWords, farWords, longWords, partsOf } from "./words";

function What({ job }: { job: Job }) {
  const { name, account } = useJobSource(job);
  const kind = jobTypeWords(job.job_type);
  return (
    <span className="flex min-w-0 items-center gap-3">
      <PlatformLogo platform={platformOf(job)} />
      <span className="min-w-0">
        <Link to={`/jobs/${job.id}`} className="block truncate font-semibold hover:underline">{name}</Link>
        <span className="block truncate text-sm font-normal text-soft">{[name === kind ? null : kind, account].filter(Boolean).join(" · ") || "Files from here"}</span>
      </span>
    </span>
  );
}

function State({ job }: { job: Job }) {
  const now = useNow();
  return (
    <span className="block min-w-0">
      <StatusBadge of="job" state={job.status} />
      {job.status === "waiting" && <span className="mt-1 block truncate text-sm text-soft" title={waitingSentence(job, now)}>{waitingSentence(job, now)}</span>}
    </span>
  );
}

function Far({ job }: { job: Job }) {
  const parts = partsOf(job);
  const words = isOver(job) ? countWords(job) || "No calls" : farWords(job);
  return (
    <span className="block min-w-0 max-sm:w-44">
      <StackedBar legend={false} parts={parts} total={Math.max(job.total_calls, 1)} label="Calls" />
      <span className="mt-1 block truncate text-sm text-soft" title={countWords(job)}>{words}</span>
    </span>
  );
}

function Long({ job }: { job: Job }) {
  return <span className="text-sm text-soft">{longWords(job, useNow()) ?? "–"}</span>;
}

export const COLUMNS: readonly Column<Job>[] = [
  { id: "what", header: "Import", width: "minmax(13rem, 2fr)", card: "title", cell: (job) => <What job={job} /> },
  { id: "state", header: "State", width: "minmax(9.5rem, 1.2fr)", cell: (job) => <State job={job} /> },
  { id: "calls", header: "Calls", width: "minmax(11rem, 1.6fr)", cell: (job) => <Far job={job} /> },
  { id: "started", header: "Started", width: "8.5rem", from: "md", cell: (job) => <Time at={job.created_at} as="relative" className="text-sm" /> },
  { id: "long", header: "Time", width: "10.5rem", from: "lg", cell: (job) => <Long job={job} /> },
];
