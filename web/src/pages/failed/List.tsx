// Failed imports one by one: choose several and retry them together, or open one.
import { RiRefreshLine } from "@remixicon/react";
import { useRef, useState, type ReactNode } from "react";
import { Link, useNavigate } from "react-router";
import { asProblem } from "@/api/client";
import { count, num } from "@/lib/format";
import { reasonWords, stageWords } from "@/lib/words";
import { Button, PlatformLogo, StatusBadge, Time, toast, useNow } from "@/parts";
import { DataTable, type Column, type ListQuery } from "@/parts/DataTable";
import { near } from "@/pages/jobs/words";
import { each } from "./change";
import { marked, retryOne } from "./data";
import { canRetry, type Failed } from "./filters";

const AT_ONCE = 4;

/** What a failed import is called: its file, what the source calls it, or that it has no name. */
export const nameOf = (failed: Pick<Failed, "external_id" | "filename">): string => failed.filename ?? failed.external_id ?? "A call without a name";

function State({ failed }: { failed: Failed }) {
  const now = useNow();
  const next = failed.next_retry_at ? new Date(failed.next_retry_at) : null;
  return (
    <span className="inline-flex flex-col items-start gap-0.5">
      <StatusBadge of="failed" state={failed.status} />
      {next && <span className="text-sm text-soft">{next <= now ? "Next try in a moment" : `Next try ${near(next, now)}`}</span>}
    </span>
  );
}

const COLUMNS: readonly Column<Failed>[] = [
  {
    id: "what", header: "Why", width: "minmax(13rem, 2.4fr)", card: "title",
    cell: (failed) => (
      <span className="block min-w-0">
        <Link to={`/failed/${failed.id}`} className="font-semibold hover:underline">{reasonWords(failed.reason)}</Link>
        <span className="line-clamp-2 text-sm font-normal text-soft" title={failed.message}>{failed.message}</span>
      </span>
    ),
  },
  {
    id: "call", header: "Call", width: "minmax(9rem, 1.8fr)",
    cell: (failed) => <span className="flex min-w-0 items-center gap-2.5"><PlatformLogo platform={failed.source_app ?? "generic"} size="sm" /><span className="truncate text-sm" title={nameOf(failed)}>{nameOf(failed)}</span></span>,
  },
  { id: "step", header: "Step", width: "8rem", from: "lg", cell: (failed) => <span className="text-sm">{stageWords(failed.stage)}</span> },
  { id: "state", header: "State", width: "8.5rem", cell: (failed) => <State failed={failed} /> },
  { id: "last", header: "Last try", width: "7rem", from: "md", cell: (failed) => <Time at={failed.last_seen_at} as="relative" className="text-sm text-soft" /> },
];

export function List({ query, empty }: { query: ListQuery<Failed>; empty: ReactNode }) {
  const navigate = useNavigate();
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [done, setDone] = useState<number | null>(null);
  const rows = query.data?.pages.flatMap((page) => page.items) ?? [];
  const chosen = rows.filter((row) => selected.has(row.id));
  const [sending, setSending] = useState<readonly Failed[]>([]);
  const able = done === null ? chosen.filter(canRetry) : sending;
  const whole = useRef<HTMLDivElement>(null);
  /** The bar goes away: the focus it had goes to the list. */
  const clear = () => {
    setSelected(new Set());
    whole.current?.querySelector<HTMLElement>('[role="row"][tabindex="0"]')?.focus();
  };
  const retry = async () => {
    setDone(0);
    setSending(able);
    marked(able.map((failed) => failed.id), "retrying"); // at once: the end of one may be told before its answer is here
    const send = (failed: Failed) => retryOne(failed.id).catch((error: unknown) => {
      marked([failed.id], failed.status);
      throw error;
    });
    const { good, problem } = await each(able, AT_ONCE, send, setDone);
    setDone(null);
    clear();
    if (good.length) toast.success(`${count(good.length, "call")} on ${good.length === 1 ? "its" : "their"} way again`);
    if (problem) toast.error(`${count(able.length - good.length, "call")} could not be retried`, { detail: asProblem(problem).sentence });
  };
  return (
    <div ref={whole}>
      <DataTable<Failed>
        label="Failed imports"
        columns={COLUMNS}
        query={query}
        rowId={(failed) => failed.id}
        rowName={(failed) => `${reasonWords(failed.reason)}, ${nameOf(failed)}`}
        onRowOpen={(failed) => void navigate(`/failed/${failed.id}`)}
        selection={{ selected, onChange: setSelected }}
        rowHeight={78}
        empty={empty}
      />
      {chosen.length > 0 && (
        <div role="region" aria-label="Selected" className="sticky bottom-4 z-20 mt-4 flex flex-wrap items-center justify-between gap-3 rounded-lg border border-line bg-raised px-4 py-3 shadow-high max-sm:bottom-20">
          <p role="status">{done === null ? `${num(chosen.length)} selected${able.length < chosen.length ? `, ${num(able.length)} of them can be retried` : ""}` : `Retrying… ${num(done)} of ${num(able.length)}`}</p>
          <div className="flex gap-2">
            <Button size="sm" onClick={clear} disabled={done !== null}>Clear selection</Button>
            <Button size="sm" kind="primary" icon={RiRefreshLine} loading={done !== null} disabled={!able.length} onClick={() => void retry()}>Retry selected</Button>
          </div>
        </div>
      )}
    </div>
  );
}
