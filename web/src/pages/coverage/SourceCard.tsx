// One source: how complete it is, its calendar, its gaps, and the import that is closing one.
import { RiCalendarEventLine } from "@remixicon/react";
import { useState } from "react";
import { Link } from "react-router";
import type { Job, Source } from "@/api/client";
import { count, day, duration } from "@/lib/format";
import { jobLine } from "@/lib/jobs";
import { Button, Card, ErrorState, PlatformLogo, Progress, StatusBadge, Time, useNow } from "@/parts";
import { Backfill } from "./Backfill";
import { knownOf, useCoverage, useImportOf } from "./data";
import { missing, monthsOf, stretchOf, stretchWords, type Known, type Stretch } from "./days";
import { Strip, StripSkeleton, Swatch } from "./Strip";

const SHOWN = 4;

export function SourceCard({ source, until, months }: { source: Source; until: string; months: number }) {
  const now = useNow();
  const found = useCoverage(source.id);
  const [begun, setBegun] = useState<{ job: string; stretch: Stretch } | null>(null);
  const [asking, setAsking] = useState<{ stretch: Stretch | null; missing?: boolean } | null>(null);
  const underWay = useImportOf(source, begun?.job ?? null);
  const running = begun && underWay?.id === begun.job ? begun.stretch : null;
  const known = knownOf(found.data);
  const job = underWay?.job_type === "sync" && known ? null : underWay; // the syncs between are nobody's business here
  const name = `${source.display_name}, ${source.account}`;
  return (
    <Card as="article">
      <div className="mb-4 flex flex-wrap items-start justify-between gap-x-4 gap-y-3">
        <div className="flex min-w-0 items-center gap-3">
          <PlatformLogo platform={source.platform} />
          <div className="min-w-0">
            <h2 className="flex flex-wrap items-center gap-x-2.5 gap-y-1 text-lg leading-tight font-semibold">
              {source.display_name} <StatusBadge of="source" state={source.state} />
            </h2>
            <p className="truncate text-sm text-soft">{source.account}</p>
          </div>
        </div>
        <Button size="sm" icon={RiCalendarEventLine} onClick={() => setAsking({ stretch: null })}>Import a time again</Button>
      </div>
      {found.isPending ? (
        <StripSkeleton months={months} />
      ) : found.isError && !found.data ? (
        <ErrorState error={found.error} onRetry={found.refetch} title="What is imported could not be shown" />
      ) : (
        <>
          <p className="mb-3">{summary(source, known, job)} {known && <span className="text-soft">Read until <Time at={known.to} as="relative" />.</span>}</p>
          {source.state === "error" && source.error_message && <p className="mb-3 text-bad">{source.error_message} <Link to="/" className="link">Mend it in the Import Hub</Link></p>}
          <Strip months={monthsOf(until, months, known, now)} name={name} running={running} onPick={(chosen) => setAsking({ stretch: stretchOf(chosen, known, now), missing: chosen.kind === "gap" })} />
          {job && (
            <div className="mt-3" aria-live="polite">
              {job.status === "waiting" ? <p className="text-sm text-soft">{jobLine(job, now)}</p> : <Progress value={job.processed_calls} max={job.total_calls || null} label={`Import of ${source.display_name}`} text={begun?.job === job.id ? jobLine(job, now).replace("Syncing", "Backfilling") : jobLine(job, now)} />}
              <Link to={`/jobs/${job.id}`} className="link mt-1 inline-block text-sm">Show the job</Link>
            </div>
          )}
          {known && <Gaps gaps={known.gaps} busy={running} onBackfill={(stretch) => setAsking({ stretch, missing: true })} />}
          {source.found_by_poll > 0 && (
            <p className="mt-3 text-sm text-soft">
              {count(source.found_by_poll, "call")} {source.found_by_poll === 1 ? "was" : "were"} found by a sync although {source.display_name} should have announced {source.found_by_poll === 1 ? "it" : "them"} at once.
              {" "}Nothing is missing: that is what the syncs are for.
            </p>
          )}
        </>
      )}
      {asking && <Backfill source={source} stretch={asking.stretch} missing={asking.missing ?? false} onClose={() => setAsking(null)} onBegun={(id, stretch) => setBegun({ job: id, stretch })} />}
    </Card>
  );
}

function summary(source: Source, known: Known | null, job: Job | null): string {
  if (!known) return job ? "The first import is under way; the days fill in as soon as it is through." : `Nothing of ${source.display_name} is imported yet.`;
  if (!known.gaps.length) return `Everything since ${day(known.from)} is imported.`;
  return `${count(known.gaps.length, "gap")}, ${duration(missing(known.gaps))} together, since ${day(known.from)}.`;
}

function Gaps({ gaps, busy, onBackfill }: { gaps: readonly Stretch[]; busy: Stretch | null; onBackfill: (gap: Stretch) => void }) {
  const [all, setAll] = useState(false);
  if (!gaps.length) return null;
  const newestFirst = [...gaps].reverse();
  const first = gaps[0]!;
  const last = gaps.at(-1)!;
  return (
    <section aria-label="Gaps" className="mt-4 border-t border-line pt-3">
      <div className="mb-1 flex flex-wrap items-center justify-between gap-2">
        <h3 className="font-semibold">{count(gaps.length, "gap")}</h3>
        {gaps.length > 1 && <Button size="sm" onClick={() => onBackfill({ from: first.from, to: last.to })}>Backfill all</Button>}
      </div>
      <ul>
        {newestFirst.slice(0, all ? undefined : SHOWN).map((gap) => {
          const words = stretchWords(gap);
          const now = busy !== null && busy.from <= gap.from && busy.to >= gap.to;
          return (
            <li key={+gap.from} className="flex flex-wrap items-center gap-x-3 gap-y-1 border-t border-line py-2 first:border-t-0">
              <Swatch kind="gap" />
              <span className="min-w-0 flex-1">{words} <span className="text-soft">({duration((+gap.to - +gap.from) / 1000)})</span></span>
              <Button size="sm" kind="quiet" loading={now} aria-label={`Backfill ${words}`} onClick={() => onBackfill(gap)}>Backfill</Button>
            </li>
          );
        })}
      </ul>
      {gaps.length > SHOWN && <Button size="sm" kind="quiet" onClick={() => setAll(!all)}>{all ? "Show fewer" : `Show all ${gaps.length}`}</Button>}
    </section>
  );
}
