// Library: every call that was imported, to search, read and play.
import { RiBookOpenLine, RiSearchLine } from "@remixicon/react";
import { useMemo } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { count, num } from "@/lib/format";
import { Button, ButtonLink, EmptyState, PageHeader } from "@/parts";
import { DataTable } from "@/parts/DataTable";
import { useCalls, type CallRow, type FromLibrary } from "./library/calls";
import { columnsOf } from "./library/columns";
import { FilterBar } from "./library/FilterBar";
import { addressWith, filtersOf, narrowed, NONE, type Filters } from "./library/filters";
import { NewCalls } from "./library/NewCalls";

export default function Library() {
  const [address, setAddress] = useSearchParams();
  const filters = filtersOf(address);
  const navigate = useNavigate();
  const query = useCalls(filters);
  const change = (wanted: Partial<Filters>, options?: { replace?: boolean }) =>
    setAddress((before) => addressWith(before, wanted), { replace: options?.replace, preventScrollReset: true });
  const { q } = filters;
  const search = address.toString();
  const from = useMemo<FromLibrary>(() => ({ library: search ? `/calls?${search}` : "/calls" }), [search]);
  const columns = useMemo(() => columnsOf((row) => addressOf(row, q), from), [q, from]);
  const loaded = query.data?.pages.reduce((sum, page) => sum + page.items.length, 0) ?? 0;
  return (
    <>
      <PageHeader title="Library" lead="Every call that was imported: search it, read it, play it." />
      <FilterBar filters={filters} onChange={change} />
      <NewCalls key={JSON.stringify(filters)} filters={filters} empty={query.isSuccess && loaded === 0} />
      <Found loaded={loaded} more={query.hasNextPage} ready={query.isSuccess && !query.isPlaceholderData} narrow={narrowed(filters)} />
      <DataTable
        label="Calls"
        columns={columns}
        query={query}
        rowId={(row) => row.id}
        rowName={(row) => row.title}
        rowHeight={62}
        onRowOpen={(row) => void navigate(addressOf(row, q), { state: from })}
        empty={
          narrowed(filters) ? (
            <EmptyState icon={RiSearchLine} title="No call fits" action={<Button onClick={() => change(NONE)}>Clear all</Button>}>
              Try fewer words or a wider time. Whole words are found, in titles and in transcripts.
            </EmptyState>
          ) : (
            <EmptyState icon={RiBookOpenLine} title="No calls yet" action={<><ButtonLink to="/connect" kind="primary">Connect a source</ButtonLink><ButtonLink to="/">Upload files</ButtonLink></>}>
              Connect the tool your calls are recorded with, or upload files. Calls appear here as they arrive.
            </EmptyState>
          )
        }
      />
    </>
  );
}

const addressOf = (row: CallRow, q: string) => `/calls/${row.id}${q ? `?${new URLSearchParams({ q }).toString()}` : ""}`;

/** One quiet line above the list, also for those who cannot see it fill. */
function Found({ loaded, more, ready, narrow }: { loaded: number; more: boolean; ready: boolean; narrow: boolean }) {
  const found = more ? `${num(loaded)} calls and more found` : `${count(loaded, "call")} found`;
  const words = !ready ? "Searching…" : !loaded ? "" : narrow ? `${found}, newest import first` : "Newest import first";
  return <p role="status" className="mb-2 min-h-5 text-sm text-soft">{words}</p>;
}
