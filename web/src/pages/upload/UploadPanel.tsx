// The uploads of this tab, each with what is happening to it, from the first byte until it is in the library.
import { RiCheckLine, RiCloseLine, RiErrorWarningLine, RiFileForbidLine, RiFileMusicLine, RiFileTextLine, RiHourglassLine, RiLoader4Line, RiRefreshLine } from "@remixicon/react";
import { memo, type ReactNode } from "react";
import { Link } from "react-router";
import { useLive } from "@/api/events";
import { cn } from "@/lib/cn";
import { bytes, count, num, percent } from "@/lib/format";
import { Button, Bytes, Card, IconButton, Progress, type Icon } from "@/parts";
import { isTranscript } from "./formats";
import { again, cancel, canRetry, changeCall, clearEnded, useUploads } from "./queue";
import { ended, heard, summary, unsent, type State, type Upload } from "./states";

export function UploadPanel() {
  const uploads = useUploads();
  useLive("import.completed", (came) => changeCall(came.job_id, came.external_id, (each) => heard(each, came)));
  useLive("import.skipped", (came) => changeCall(came.job_id, came.external_id, (each) => heard(each, came)));
  useLive("import.failed", (came) => changeCall(came.job_id, came.external_id, (each) => heard(each, came)));
  if (!uploads.length) return null;
  const sum = summary(uploads);
  const all = uploads.every(ended);
  return (
    <Card className="mb-7" title="Uploads" actions={uploads.some(ended) && <Button size="sm" kind="quiet" onClick={clearEnded}>{all ? "Close" : "Clear finished"}</Button>}>
      <p className="sr-only" role="status">{said(sum)}</p>
      {sum.unsent > 0 && (
        <Progress className="mb-3" label="All uploads" value={sum.sent} max={sum.bytes} text={`Sending ${count(sum.unsent, "file")}: ${bytes(sum.sent)} of ${bytes(sum.bytes)}. Keep this tab open.`} />
      )}
      {/* A long list scrolls by itself, so it must be reachable by keyboard. */}
      <ul aria-label="Uploads" tabIndex={uploads.length > 6 ? 0 : undefined} className="-mx-2 max-h-104 divide-y divide-line overflow-y-auto">
        {uploads.map((each) => <Row key={each.id} upload={each} retry={canRetry(each)} />)}
      </ul>
    </Card>
  );
}

function said(sum: ReturnType<typeof summary>): string {
  const parts = [
    sum.done && `${num(sum.done)} of ${count(sum.total, "file")} imported`,
    sum.duplicate && `${num(sum.duplicate)} already there`,
    sum.bad && `${num(sum.bad)} not imported`,
  ].filter(Boolean);
  return parts.join(", ");
}

const MARKS: Record<State, [Icon, string, boolean]> = {
  waiting: [RiHourglassLine, "text-soft", false],
  sending: [RiLoader4Line, "text-accent", true],
  checking: [RiLoader4Line, "text-accent", true],
  paused: [RiHourglassLine, "text-warn", false],
  working: [RiLoader4Line, "text-accent", true],
  done: [RiCheckLine, "text-good", false],
  duplicate: [RiCheckLine, "text-soft", false],
  failed: [RiErrorWarningLine, "text-bad", false],
  refused: [RiErrorWarningLine, "text-bad", false],
  stopped: [RiErrorWarningLine, "text-bad", false],
  cancelled: [RiCloseLine, "text-soft", false],
};

const Row = memo(function Row({ upload, retry }: { upload: Upload; retry: boolean }) {
  const [Mark, colour, moving] = MARKS[upload.state];
  const Kind = upload.state === "refused" ? RiFileForbidLine : isTranscript(upload.name) ? RiFileTextLine : RiFileMusicLine;
  return (
    <li className="flex min-h-14 items-center gap-3 px-2 py-2 [content-visibility:auto] [contain-intrinsic-size:auto_3.5rem]" aria-label={upload.name}>
      <Kind size={22} className="shrink-0 text-soft max-[420px]:hidden" />
      <div className="min-w-0 flex-1">
        <p className="flex items-baseline gap-2"><span className="truncate font-medium" title={upload.name}>{upload.name}</span><span className="shrink-0 text-sm text-soft"><Bytes value={upload.size} /></span></p>
        <div className={cn("mt-0.5 flex items-start gap-1.5 text-sm", colour)}>
          <Mark size={16} className={cn("mt-0.5 shrink-0", moving && "motion-safe:animate-spin")} />
          <div className="min-w-0 flex-1"><Words upload={upload} /></div>
        </div>
      </div>
      <div className="flex shrink-0 items-center gap-1">
        {retry && ended(upload) && upload.state !== "done" && upload.state !== "duplicate" && (
          <Button size="sm" icon={RiRefreshLine} aria-label={`Try again: ${upload.name}`} onClick={() => void again(upload.id)}>Try again</Button>
        )}
        {upload.callId && <Link className="link px-2 text-sm font-semibold" to={`/calls/${upload.callId}`} aria-label={`Open ${upload.name} in your library`}>Open</Link>}
        {upload.failedId && <Link className="link px-2 text-sm" to={`/failed/${upload.failedId}`} aria-label={`See why ${upload.name} failed`}>See why</Link>}
        {unsent(upload) && <IconButton label={`Cancel ${upload.name}`} icon={RiCloseLine} onClick={() => cancel(upload.id)} />}
      </div>
    </li>
  );
});

function Words({ upload }: { upload: Upload }): ReactNode {
  switch (upload.state) {
    case "waiting":
      return "Waits for its turn";
    case "sending":
      return <Bar label={`Sending ${upload.name}`} value={upload.sent} max={upload.size} text={`Sending… ${percent(upload.sent / Math.max(1, upload.size))}`} />;
    case "checking":
      return "Sent. callstream looks into it…";
    case "working":
      return upload.parts ? <Bar label={`Transcribing ${upload.name}`} value={upload.parts.done} max={upload.parts.total} text={upload.words ?? ""} /> : (upload.words ?? "On its way into your library…");
    case "done":
      return "In your library";
    case "duplicate":
      return "Already in your library";
    default:
      return upload.words;
  }
}

function Bar({ label, value, max, text }: { label: string; value: number; max: number; text: string }) {
  return (
    <span className="flex items-center gap-3">
      <span className="shrink-0 whitespace-nowrap">{text}</span>
      <Progress label={label} value={value} max={max} text="" className="max-w-60 flex-1 [&>div:first-child]:hidden" />
    </span>
  );
}
