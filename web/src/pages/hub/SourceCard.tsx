// One connected account: how it stands, what it is doing right now, and what one can do with it.
import { RiArrowDownSLine, RiHistoryLine, RiMoreLine, RiPlugLine, RiRefreshLine, RiCalendarCheckLine, RiFlashlightLine, RiLinkUnlinkM, RiPlayListLine, RiRecordCircleLine } from "@remixicon/react";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import type { Job, Shape, Source } from "@/api/client";
import { cn } from "@/lib/cn";
import { count, left } from "@/lib/format";
import { jobLine } from "@/lib/jobs";
import { Button, ButtonLink, Card, IconButton, Menu, Num, PlatformLogo, Progress, StatusBadge, Switch, Time, useNow, type MenuItem } from "@/parts";
import { setActive, setOption, syncNow } from "./actions";
import { cadences, mendedBy, shownJob } from "./change";

export interface CardProps {
  source: Source;
  platform: Shape<"Platform"> | undefined;
  jobs: readonly Job[];
  /** Whether this person may change it: members only their own. */
  mayChange: boolean;
  /** It was connected just now. */
  fresh: boolean;
  onOlder: () => void;
  onDisconnect: () => void;
}

export function SourceCard({ source, platform, jobs, mayChange, fresh, onOlder, onDisconnect }: CardProps) {
  const job = shownJob(jobs);
  const pulls = platform?.supports_ongoing_sync ?? true;
  return (
    <Card as="li" className={cn("flex flex-col", fresh && "outline-2 outline-offset-2 outline-accent/60")}>
      <article aria-labelledby={`source-${source.id}`} className="flex flex-1 flex-col">
        <div className="flex items-start gap-3">
          <PlatformLogo platform={source.platform} />
          <div className="min-w-0 flex-1">
            <h3 id={`source-${source.id}`} className="truncate text-lg leading-6 font-semibold">{source.display_name}</h3>
            <p className="truncate text-sm text-soft" title={source.account}>{source.account}</p>
          </div>
          <More source={source} platform={platform} pulls={pulls} mayChange={mayChange} onOlder={onOlder} onDisconnect={onDisconnect} />
        </div>
        <div className="mt-2.5 flex min-h-9 items-center justify-between gap-2">
          <StatusBadge of="source" state={source.state} />
          {mayChange && pulls && <Schedule source={source} />}
        </div>
        <div className="mt-1.5 min-h-21 flex-1">
          {source.state === "error" ? <Trouble source={source} mayChange={mayChange} /> : job ? <Moving source={source} job={job} more={jobs.length - 1} /> : <Resting source={source} pulls={pulls} />}
        </div>
        <p className="mt-2 text-sm text-soft">
          <Link className="link font-semibold text-ink" to={`/calls?source=${source.platform}`}><Num value={source.calls_imported} /> {source.calls_imported === 1 ? "call" : "calls"} imported</Link>
          {source.waiting_calls > 0 && <span title={`${source.display_name} does not have them ready yet. They come by themselves.`}>, {count(source.waiting_calls, "more", "more")} to come</span>}
        </p>
        <div className="mt-3 -mb-1 flex flex-wrap items-center justify-between gap-2 border-t border-line pt-3">
          {mayChange ? (
            <Switch label="Active" checked={source.state !== "paused"} onChange={(on) => void setActive(source, on)} />
          ) : (
            <span className="py-1.5 text-sm text-soft">Connected by a colleague</span>
          )}
          {mayChange && pulls && source.state !== "error" && <SyncNow source={source} busy={jobs.length > 0} />}
        </div>
      </article>
    </Card>
  );
}

function Resting({ source, pulls }: { source: Source; pulls: boolean }) {
  const now = useNow();
  const next = source.state === "active" && source.auto_sync && source.next_sync_at && new Date(source.next_sync_at) > now ? source.next_sync_at : null;
  return (
    <p className="text-sm text-soft">
      {!pulls ? "Its calls arrive by themselves." : source.last_sync_at ? <>Last sync <Time at={source.last_sync_at} as="relative" className="font-medium text-ink" /></> : "Not synced yet"}
      <br />
      {source.state === "paused" ? "Nothing is read while it is paused." : pulls && (next ? <>Next one <Time at={next} as="relative" /></> : source.auto_sync ? "Next one soon" : "Syncs only when you say so")}
    </p>
  );
}

function Moving({ source, job, more }: { source: Source; job: Job; more: number }) {
  const now = useNow();
  const text = jobLine(job, now);
  const known = job.total_calls > 0 && job.status !== "counting";
  const eta = job.status === "in_progress" && job.estimated_completion_at ? left(new Date(job.estimated_completion_at), now) : null;
  return (
    <div>
      <Progress
        label={`Sync of ${source.display_name}`}
        value={known ? job.processed_calls : undefined}
        max={known ? job.total_calls : null}
        text={text}
        still={job.status === "waiting"}
      />
      <p className="mt-1.5 flex flex-wrap justify-between gap-x-3 text-sm text-soft">
        <span>
          {job.failed_calls > 0 && <Link className="link text-bad" to={`/failed?job_id=${job.id}`}>{count(job.failed_calls, "call")} failed</Link>}
          {job.failed_calls > 0 && eta && " · "}
          {eta}
        </span>
        <Link className="link" to={`/jobs/${job.id}`} aria-label={`Details of the sync of ${source.display_name}`}>{more > 0 ? `Details, ${more} more` : "Details"}</Link>
      </p>
    </div>
  );
}

function Trouble({ source, mayChange }: { source: Source; mayChange: boolean }) {
  const [busy, setBusy] = useState(false);
  const again = async () => {
    setBusy(true);
    await syncNow(source);
    setBusy(false);
  };
  return (
    <div className="rounded-md bg-bad-wash px-3 py-2.5 text-sm" role="group" aria-label={`What ${source.display_name} needs`}>
      <p className="line-clamp-5 break-words" title={source.error_message ?? undefined}>{source.error_message ?? "Something is wrong with this account."}</p>
      {mayChange && (
        <div className="mt-2">
          {mendedBy(source.error_reason) === "connect" ? (
            <ButtonLink size="sm" kind="primary" icon={RiPlugLine} to={`/connect/${source.platform}?again=${source.id}`}>Connect again</ButtonLink>
          ) : (
            <Button size="sm" kind="primary" icon={RiRefreshLine} loading={busy} onClick={() => void again()}>Try again</Button>
          )}
        </div>
      )}
    </div>
  );
}

function SyncNow({ source, busy }: { source: Source; busy: boolean }) {
  const [starting, setStarting] = useState(false);
  const start = async () => {
    setStarting(true);
    await syncNow(source);
    setStarting(false);
  };
  return (
    <Button size="sm" icon={RiRefreshLine} loading={starting} disabled={source.state === "paused" || busy} onClick={() => void start()} aria-label={`Sync now: ${source.display_name}`}>Sync now</Button>
  );
}

function Schedule({ source }: { source: Source }) {
  const { all, now } = cadences(source);
  const choose = (minutes: number | null, label: string) =>
    void setOption(source, minutes === null ? { auto_sync: false } : { auto_sync: true, sync_frequency_minutes: minutes }, minutes === null ? "Auto-sync is off" : `Auto-sync: ${label.toLowerCase()}`);
  const words = now.minutes === null ? "Auto-sync off" : now.label;
  return (
    <Menu
      label="Auto-sync"
      trigger={
        <Button size="sm" kind="quiet" aria-label={`Auto-sync of ${source.display_name}: ${words}`} title="How often new calls are looked for" className="-mr-2 px-2 font-medium">
          <span className="inline-flex items-center gap-0.5">{words}<RiArrowDownSLine size={16} /></span>
        </Button>
      }
      items={all.map((each) => ({ label: each.label, checked: each.minutes === now.minutes, onSelect: () => choose(each.minutes, each.label) }))}
    />
  );
}

function More({ source, platform, pulls, mayChange, onOlder, onDisconnect }: Omit<CardProps, "jobs" | "fresh"> & { pulls: boolean }) {
  const navigate = useNavigate();
  const keep = () => void setOption(source, { keep_recordings: !source.keep_recordings }, source.keep_recordings ? "Recordings are no longer kept" : "Recordings are kept from now on");
  const items: (MenuItem | null)[] = [
    ...(pulls && mayChange ? [{ label: "Import older calls…", icon: RiHistoryLine, onSelect: onOlder, disabled: source.state !== "active" }] : []),
    ...(pulls ? [{ label: "Coverage", icon: RiCalendarCheckLine, onSelect: () => void navigate(`/coverage?source=${source.id}`) }] : []),
    { label: "Show its calls", icon: RiPlayListLine, onSelect: () => void navigate(`/calls?source=${source.platform}`) },
    ...(mayChange
      ? [
          null,
          { label: "Keep recordings", icon: RiRecordCircleLine, checked: source.keep_recordings, onSelect: keep },
          ...(platform?.webhook ? [{ label: "Get calls at once…", icon: RiFlashlightLine, onSelect: () => void navigate(`/connect/${source.platform}?source=${source.id}`) }] : []),
          { label: "Connect again", icon: RiPlugLine, onSelect: () => void navigate(`/connect/${source.platform}?again=${source.id}`) },
          null,
          { label: "Disconnect…", icon: RiLinkUnlinkM, danger: true, onSelect: onDisconnect },
        ]
      : []),
  ];
  return <Menu label={`More for ${source.display_name}`} trigger={<IconButton label={`More for ${source.display_name}`} icon={RiMoreLine} className="-mt-1.5 -mr-2" />} items={items} />;
}
