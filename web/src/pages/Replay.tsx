// Replay: read calls that arrived before once more, as callstream understands them today.
import { RiHistoryLine, RiLockLine } from "@remixicon/react";
import { useEffect, useMemo, useRef } from "react";
import { useSearchParams } from "react-router";
import { useSession } from "@/api/queries";
import { ButtonLink, EmptyState, PageHeader, StatusBadge, Time } from "@/parts";
import { DataTable, type Column } from "@/parts/DataTable";
import { Choose } from "./replay/Choose";
import { useReplays } from "./replay/data";
import { KindBadge, Opened, usePlatformNames } from "./replay/Opened";
import { resultWords, selectionWords, type Replay as One } from "./replay/words";

const LEAD = "Reads calls that arrived before once more, and stores them the way callstream understands them today. Nothing is stored twice: a call that comes out the same is left alone.";

export default function Replay() {
  const role = useSession().data?.role;
  if (role === "owner" || role === "support") return <Allowed />;
  return (
    <>
      <PageHeader title="Replay" lead={LEAD} />
      <EmptyState icon={RiLockLine} title="This is for owners and support" action={<ButtonLink to="/">To the Import Hub</ButtonLink>}>
        Ask an owner of your workspace to do it, or to make you one under Settings.
      </EmptyState>
    </>
  );
}

function Allowed() {
  const [address, setAddress] = useSearchParams();
  const open = address.get("open");
  const list = useReplays();
  const nameOf = usePlatformNames();
  const panel = useRef<HTMLDivElement>(null);
  const show = (id: string | null) =>
    setAddress((before) => {
      if (id) before.set("open", id);
      else before.delete("open");
      return before;
    }, { preventScrollReset: true });
  const first = useRef(true);
  useEffect(() => {
    if (open && !first.current) panel.current?.scrollIntoView({ block: "nearest" });
    first.current = false;
  }, [open]);
  const columns = useMemo<Column<One>[]>(
    () => [
      { id: "what", header: "What", width: "minmax(0, 1fr)", card: "title", cell: (row) => <span className="line-clamp-2">{selectionWords(row, nameOf)}</span> },
      { id: "kind", header: "Kind", width: "6.5rem", cell: (row) => <KindBadge dry={row.dry_run} /> },
      { id: "state", header: "State", width: "9.5rem", cell: (row) => <StatusBadge of="job" state={row.status} /> },
      { id: "result", header: "Result", width: "minmax(9rem, 16rem)", from: "md", cell: (row) => resultWords(row) },
      { id: "when", header: "Started", width: "8.5rem", from: "lg", cell: (row) => <Time at={row.created_at} as="relative" /> },
    ],
    [nameOf],
  );
  return (
    <>
      <PageHeader title="Replay" lead={LEAD} />
      <div className="grid grid-cols-[minmax(0,1fr)] gap-5">
        <Choose onStarted={(replay) => show(replay.id)} />
        <div ref={panel} className="scroll-mt-4 empty:hidden">{open && <Opened key={open} id={open} onClose={() => show(null)} onStarted={(replay) => show(replay.id)} />}</div>
        <section aria-label="Replays so far">
          <h2 className="mb-3 text-lg font-semibold">Replays so far</h2>
          <DataTable
            label="Replays"
            columns={columns}
            query={list}
            rowId={(row) => row.id}
            rowName={(row) => selectionWords(row, nameOf)}
            onRowOpen={(row) => show(row.id)}
            empty={<EmptyState icon={RiHistoryLine} title="No replays yet">Choose above which calls to read again and make a dry run: it only looks.</EmptyState>}
          />
        </section>
      </div>
    </>
  );
}
