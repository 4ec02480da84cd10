// The columns of the library.
import { Link } from "react-router";
import { count } from "@/lib/format";
import { Duration, Highlight, PlatformLogo, Time } from "@/parts";
import type { Column } from "@/parts/DataTable";
import { holds, QUALITY, type CallRow, type FromLibrary } from "./calls";

/** The columns; `to` says where a call is opened, `from` the list to come back to. */
export function columnsOf(to: (row: CallRow) => string, from: FromLibrary): Column<CallRow>[] {
  return [
    { id: "call", header: "Call", width: "minmax(0, 1fr)", card: "title", cell: (row) => <Title row={row} to={to(row)} from={from} /> },
    { id: "when", header: "When", width: "11rem", cell: (row) => <Time at={row.recording_start_time} /> },
    { id: "length", header: "Length", width: "6.5rem", from: "md", cell: (row) => <Duration seconds={row.duration_seconds} /> },
    { id: "holds", header: "What is there", width: "12.5rem", from: "lg", cell: (row) => <Holds row={row} /> },
  ];
}

function Title({ row, to, from }: { row: CallRow; to: string; from: FromLibrary }) {
  return (
    <div className="flex min-w-0 gap-3">
      <PlatformLogo platform={row.source_app} size="sm" named />
      <div className="min-w-0 flex-1">
        {/* The row is what the keyboard walks; the link is for the mouse: a new tab, the address. */}
        <Link to={to} state={from} tabIndex={-1} className="line-clamp-2 font-semibold break-words hover:underline">
          {row.title_pieces ? <Highlight pieces={row.title_pieces} /> : row.title || "Without a title"}
        </Link>
        <People names={row.people} />
        {row.snippets?.map((pieces, at) => (
          <p key={at} className="mt-1 line-clamp-2 border-l-2 border-line pl-2.5 text-sm font-normal break-words text-ink"><Highlight pieces={pieces} /></p>
        ))}
      </div>
    </div>
  );
}

function People({ names }: { names: string[] }) {
  if (!names.length) return null;
  const rest = names.length - 3;
  return (
    <p className="truncate text-sm font-normal text-soft" title={names.join(", ")}>
      <span className="sr-only">With </span>
      {names.slice(0, 3).join(", ")}
      {rest > 0 && ` and ${count(rest, "other")}`}
    </p>
  );
}

function Holds({ row }: { row: CallRow }) {
  return (
    <span className="block leading-tight">
      {holds(row)}
      <span className="mt-0.5 block text-sm text-soft">{QUALITY[row.metadata_quality]}</span>
    </span>
  );
}
