// A call of a job in the list: its name, its state, what is said of it, and where it leads.
import { Link } from "react-router";
import { count } from "@/lib/format";
import { PlatformLogo, Progress, StatusBadge, Time, useNow } from "@/parts";
import type { Column } from "@/parts/DataTable";
import type { JobCall } from "./change";
import { callName, callSentence, transcribed } from "./words";

/** Where a call leads: to itself in the library, or to why it failed. */
export const leadsTo = (call: JobCall): string | null =>
  call.call_id ? `/calls/${call.call_id}` : call.failed_import_id ? `/failed/${call.failed_import_id}` : null;

function Name({ call }: { call: JobCall }) {
  const name = callName(call);
  const to = leadsTo(call);
  return (
    <span className="flex min-w-0 items-center gap-3">
      <PlatformLogo platform={call.source_app} size="sm" />
      {to ? <Link to={to} className="truncate font-medium hover:underline" title={name}>{name}</Link> : <span className="truncate" title={name}>{name}</span>}
    </span>
  );
}

function Said({ call }: { call: JobCall }) {
  const now = useNow();
  const parts = transcribed(call);
  if (parts) return <Progress label="Transcribing" value={parts.done} max={parts.of} text={`Transcribing: ${parts.done} of ${count(parts.of, "part")}`} className="max-w-64" />;
  const sentence = callSentence(call, now);
  return sentence ? <span className="line-clamp-2 text-sm text-soft" title={sentence}>{sentence}</span> : null;
}

function Leads({ call }: { call: JobCall }) {
  const name = callName(call);
  if (call.failed_import_id) return <Link className="link" to={`/failed/${call.failed_import_id}`} aria-label={`See why ${name} failed`}>See why</Link>;
  if (call.call_id) return <Link className="link" to={`/calls/${call.call_id}`} aria-label={`Open call ${name}`}>Open call</Link>;
  return null;
}

export const CALL_COLUMNS: readonly Column<JobCall>[] = [
  { id: "name", header: "Call", width: "minmax(11rem, 2.2fr)", card: "title", cell: (call) => <Name call={call} /> },
  { id: "state", header: "State", width: "8.25rem", cell: (call) => <StatusBadge of="call" state={call.status} /> },
  { id: "said", header: "What is said of it", width: "minmax(11rem, 1.8fr)", card: "plain", cell: (call) => <Said call={call} /> },
  { id: "at", header: "Changed", width: "7rem", from: "lg", cell: (call) => <Time at={call.updated_at} as="relative" className="text-sm text-soft" /> },
  { id: "leads", header: "More", width: "5.25rem", align: "end", card: "plain", cell: (call) => <Leads call={call} /> },
];
