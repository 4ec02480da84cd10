// The audit log: who did what, and when. What is shown stands in the address.
import { RiHistoryLine, RiSearchLine } from "@remixicon/react";
import { useMemo } from "react";
import { api, data } from "@/api/client";
import { useList, usePlatforms, useSources } from "@/api/queries";
import { useAddress } from "@/lib/address";
import { Button, ButtonLink, EmptyState, Facts, Field, Select, Sheet, TextInput, Time, useNow } from "@/parts";
import { DataTable, type Column } from "@/parts/DataTable";
import { usePeople } from "../admin/people";
import { dayOf, shifted, startOf } from "../library/filters";
import { aboutWords, actorWords, detailsOf, doneWords, KINDS, placeOf, type Entry } from "./audit";

const DAY = /^\d{4}-\d{2}-\d{2}$/;

const COLUMNS: readonly Column<Entry>[] = [
  { id: "what", header: "What", width: "minmax(14rem, 2.4fr)", card: "title", cell: (each) => <What entry={each} /> },
  { id: "who", header: "Who", width: "minmax(9rem, 1.2fr)", cell: (each) => <span className="block truncate">{actorWords(each)}</span> },
  { id: "when", header: "When", width: "11rem", cell: (each) => <Time at={each.at} className="text-sm" /> },
];

/** What things are called: sources and people by their id, platforms by their word. */
function useNames(): ReadonlyMap<string, string> {
  const sources = useSources().data;
  const people = usePeople().data;
  const platforms = usePlatforms().data;
  return useMemo(
    () =>
      new Map([
        ...(platforms ?? []).map((each): [string, string] => [each.platform, each.display_name]),
        ...(people ?? []).map((each): [string, string] => [each.user_id, each.name]),
        ...(sources ?? []).map((each): [string, string] => [each.id, `${each.display_name} · ${each.account}`]),
      ]),
    [sources, people, platforms],
  );
}

function What({ entry }: { entry: Entry }) {
  const about = aboutWords(entry, useNames());
  return (
    <span className="block min-w-0">
      <span className="line-clamp-2">{doneWords(entry)}</span>
      {about && <span className="block truncate text-sm font-normal text-soft" title={about}>{about}</span>}
    </span>
  );
}

export function Audit() {
  const [address, change] = useAddress();
  const today = dayOf(useNow());
  const day = (name: string) => (DAY.test(address.get(name) ?? "") ? address.get(name)! : "");
  const kind = KINDS.some((each) => each.value === address.get("action")) ? address.get("action")! : "";
  const [from, to] = [day("from"), day("to")];
  const narrowed = Boolean(kind || from || to);
  const list = useList<Entry>(
    ["settings", "audit", { kind, from, to }],
    (cursor) =>
      data(
        api.GET("/api/audit", {
          params: {
            query: {
              action: kind || undefined,
              from: from ? startOf(from).toISOString() : undefined,
              to: to ? startOf(shifted(to, 1)).toISOString() : undefined,
              limit: 100,
              cursor: cursor ?? undefined,
            },
          },
        }),
      ),
    true,
    true,
  );
  const open = Number(address.get("entry"));
  const shown = open ? list.data?.pages.flatMap((page) => page.items).find((each) => each.id === open) : undefined;
  const place = shown && placeOf(shown);
  const clear = () => change({ action: null, from: null, to: null });
  return (
    <>
      <div role="group" aria-label="Filters" className="mb-4 grid grid-cols-2 items-end gap-2 sm:flex sm:flex-wrap">
        <Field label="About" className="max-sm:col-span-2 sm:w-60">
          <Select value={kind} onChange={(event) => change({ action: event.target.value })} options={[{ value: "", label: "Everything" }, ...KINDS]} />
        </Field>
        <Field label="From" className="sm:w-40"><TextInput type="date" value={from} max={to || today} onChange={(event) => change({ from: event.target.value })} /></Field>
        <Field label="To" className="sm:w-40"><TextInput type="date" value={to} min={from || undefined} max={today} onChange={(event) => change({ to: event.target.value })} /></Field>
        {narrowed && <Button kind="quiet" onClick={clear} className="max-sm:col-span-2">Clear filters</Button>}
      </div>
      <DataTable<Entry>
        label="Audit log"
        columns={COLUMNS}
        query={list}
        rowId={(each) => String(each.id)}
        onRowOpen={(each) => change({ entry: String(each.id) }, { push: true })}
        empty={
          narrowed ? (
            <EmptyState icon={RiSearchLine} title="Nothing of this kind was done then" action={<Button onClick={clear}>Show everything</Button>} />
          ) : (
            <EmptyState icon={RiHistoryLine} title="Nothing has been done yet">Whatever somebody changes here is written down from now on.</EmptyState>
          )
        }
      />
      <Sheet open={shown !== undefined} onOpenChange={(next) => !next && change({ entry: null })} title={shown ? doneWords(shown) : "Entry"} footer={place ? <ButtonLink to={place.to}>{place.label}</ButtonLink> : undefined}>
        {shown && (
          <Facts
            items={[
              ["Who", actorWords(shown)],
              ["When", <Time key="at" at={shown.at} />],
              ...detailsOf(shown.detail).map(([name, value]): [string, React.ReactNode] => [name, <span key={name} className="break-all">{value}</span>]),
              shown.target ? ["Concerns", <code key="target" className="text-sm break-all">{shown.target}</code>] : null,
              ["Written as", <code key="action" className="text-sm break-all">{shown.action}</code>],
            ]}
          />
        )}
      </Sheet>
    </>
  );
}
