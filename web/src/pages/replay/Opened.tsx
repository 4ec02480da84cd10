// One replay: how far it is, what a dry run found, what came of it; starting it for real, and cancelling it.
import { RiCloseLine } from "@remixicon/react";
import { useState } from "react";
import { Link } from "react-router";
import { followJob } from "@/api/follow";
import { usePlatforms } from "@/api/queries";
import { count, left, num } from "@/lib/format";
import { newKey } from "@/lib/keys";
import { readable } from "@/lib/words";
import { Badge, Button, Card, ConfirmDialog, ErrorState, Field, IconButton, Note, Problem, Progress, Select, Skeleton, StackedBar, StatusBadge, Time, toast, useNow } from "@/parts";
import { cancelReplay, startReplay, useReplay } from "./data";
import { ReportView } from "./ReportView";
import { again, isRunning, resultWords, selectionWords, worthIt, type Replay } from "./words";

const RATES = [
  { value: "", label: "As fast as it goes" },
  { value: "50", label: "50 calls a second" },
  { value: "10", label: "10 calls a second" },
  { value: "1", label: "1 call a second" },
];

export function Opened({ id, onClose, onStarted }: { id: string; onClose: () => void; onStarted: (replay: Replay) => void }) {
  const found = useReplay(id);
  const nameOf = usePlatformNames();
  const replay = found.data;
  if (found.isError && !replay) return <Card><ErrorState error={found.error} onRetry={found.refetch} title="The replay could not be shown" /></Card>;
  if (!replay) return <Skeleton as="card" className="h-56" />;
  return (
    <Card
      title={<span className="flex flex-wrap items-center gap-2.5">{replay.dry_run ? "Dry run" : "Replay"} <StatusBadge of="job" state={replay.status} /></span>}
      actions={<IconButton label="Close this replay" icon={RiCloseLine} onClick={onClose} />}
    >
      <p className="mb-4">{selectionWords(replay, nameOf)}. <span className="text-soft">Started <Time at={replay.created_at} as="relative" />.</span></p>
      {isRunning(replay) ? <Running replay={replay} /> : <Ended replay={replay} onStarted={onStarted} />}
    </Card>
  );
}

/** The names of all platforms at once, for sentences. */
export function usePlatformNames(): (platform: string) => string {
  const known = usePlatforms().data;
  return (platform) => known?.find((each) => each.platform === platform)?.display_name ?? { upload: "Upload", generic: "Webhook" }[platform] ?? readable(platform);
}

function Running({ replay }: { replay: Replay }) {
  const now = useNow();
  const [asking, setAsking] = useState(false);
  const { total_events: total, read_events: read } = replay;
  const words = total === null ? "Finding where to begin…" : replay.dry_run ? `Looked at ${num(read)} of ${num(total)}` : `Read ${num(read)} of ${num(total)}, ${num(replay.processed_calls)} of ${count(replay.total_calls, "call")} through`;
  const rest = replay.estimated_completion_at ? `, ${left(new Date(replay.estimated_completion_at), now)}` : "";
  return (
    <div className="grid gap-3">
      <div aria-live="polite"><Progress label={replay.dry_run ? "Dry run" : "Replay"} value={total === null ? undefined : Math.round(replay.progress * 1000)} max={total === null ? null : 1000} text={words + rest} /></div>
      {!replay.dry_run && replay.changed_calls > 0 && <p className="text-sm text-soft">{count(replay.imported_calls, "call")} imported, {num(replay.updated_calls)} updated so far.</p>}
      <div><Button size="sm" onClick={() => setAsking(true)}>Cancel</Button></div>
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title={replay.dry_run ? "Cancel the dry run?" : "Cancel the replay?"}
        lead={replay.dry_run ? "Nothing was changed by it." : "What it has read already still arrives; the rest stays as it is."}
        action={replay.dry_run ? "Cancel the dry run" : "Cancel the replay"}
        onConfirm={async () => {
          await cancelReplay(replay.id);
          toast.info(replay.dry_run ? "Dry run cancelled" : "Replay cancelled");
        }}
      />
    </div>
  );
}

function Ended({ replay, onStarted }: { replay: Replay; onStarted: (replay: Replay) => void }) {
  if (replay.status === "failed" && !replay.total_calls) return <Problem sentence={replay.last_error ?? "It did not work. Try it again; nothing was changed."} />;
  if (replay.status === "cancelled") return <Note>{replay.dry_run ? "It was cancelled; nothing was changed." : "It was cancelled. What had been read by then has arrived; the rest is as it was."}</Note>;
  if (replay.dry_run) return <Found replay={replay} onStarted={onStarted} />;
  const parts = [
    { key: "imported", value: replay.imported_calls, tone: "good" as const, label: "imported" },
    { key: "updated", value: replay.updated_calls, tone: "info" as const, label: "updated" },
    { key: "skipped", value: replay.skipped_calls, tone: "neutral" as const, label: "unchanged" },
    { key: "failed", value: replay.failed_calls, tone: "bad" as const, label: "failed" },
  ];
  return (
    <div className="grid gap-4">
      <p role="status" className="text-lg font-semibold">{resultWords(replay)}</p>
      {replay.total_calls > 0 && <StackedBar label="What came of it" parts={parts} total={replay.total_calls} />}
      {replay.last_error && <Problem sentence={replay.last_error} />}
      <p><Link to={`/jobs/${replay.id}`} className="link">Show its calls</Link></p>
    </div>
  );
}

function Found({ replay, onStarted }: { replay: Replay; onStarted: (replay: Replay) => void }) {
  const [rate, setRate] = useState("");
  const [asking, setAsking] = useState(false);
  const [key] = useState(newKey);
  const { report } = replay;
  if (!report) return <Note>It found nothing to look at.</Note>;
  const start = async () => {
    const started = await startReplay(again(replay, rate ? Number(rate) : null), `${key}-${rate || "all"}`);
    followJob(started.id, "Replay");
    onStarted(started);
  };
  const seen = report.would_import + report.would_change + report.unchanged + report.older + report.would_fail;
  const changes = [report.would_import && `${count(report.would_import, "call")} will be imported`, report.would_change && `${count(report.would_change, "call")} will change`].filter(Boolean).join(" and ");
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-6">
      <p role="status" className="text-lg font-semibold">
        {seen === 0 ? "No call fits what you chose" : worthIt(replay) ? resultWords(replay) : "Nothing would change: there is no need to start it"}
      </p>
      {seen === 0 ? <p className="-mt-4 text-soft">Choose a longer time or another source.</p> : <ReportView report={report} />}
      {worthIt(replay) && (
        <div className="flex flex-wrap items-end gap-3 border-t border-line pt-4">
          <Field label="Speed"><Select className="w-52" value={rate} onChange={(event) => setRate(event.target.value)} options={RATES} /></Field>
          <Button kind="primary" onClick={() => setAsking(true)}>Start for real</Button>
          <p className="min-w-0 basis-60 text-sm text-soft sm:flex-1">It goes on beside the calls that arrive, never before them, and can be cancelled.</p>
        </div>
      )}
      <ConfirmDialog open={asking} onOpenChange={setAsking} title="Start for real?" lead={`${changes}. Nothing is stored twice.`} action="Start" onConfirm={start} />
    </div>
  );
}

export const KindBadge = ({ dry }: { dry: boolean }) => <Badge tone={dry ? "neutral" : "accent"}>{dry ? "Dry run" : "For real"}</Badge>;
