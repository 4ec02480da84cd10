// Jobs: every import that runs, waits or is over, live.
import { RiListCheck3, RiSearchLine } from "@remixicon/react";
import { useEffect } from "react";
import { useNavigate } from "react-router";
import type { Job } from "@/api/client";
import { useSources } from "@/api/queries";
import { useAddress } from "@/lib/address";
import { jobTypeWords } from "@/lib/words";
import { Button, ButtonLink, EmptyState, Field, PageHeader, Select } from "@/parts";
import { DataTable } from "@/parts/DataTable";
import { useJobs } from "./jobs/data";
import { filtersOf, KINDS, narrowed, STATES, UPLOADS, type JobFilters } from "./jobs/filters";
import { COLUMNS } from "./jobs/JobRow";

/** Pages without a single fitting import that are looked through before one is asked whether to go on. */
const PATIENCE = 10;

export default function Jobs() {
  const navigate = useNavigate();
  const [search, change] = useAddress();
  const filters = filtersOf(search);
  const list = useJobs(filters);
  const pages = list.data?.pages ?? [];
  const none = pages.every((page) => page.items.length === 0);
  const looking = none && list.hasNextPage && pages.length % PATIENCE !== 0 && !list.isError;
  const { fetchNextPage, isFetchingNextPage } = list;
  useEffect(() => {
    if (looking && pages.length && !isFetchingNextPage) void fetchNextPage();
  }, [looking, pages.length, isFetchingNextPage, fetchNextPage]);
  const clear = () => change({ state: null, source: null, kind: null });
  return (
    <>
      <PageHeader title="Jobs" lead="Every import, the newest first: what runs, what waits, and what came of it." />
      <Filters filters={filters} onChange={change} />
      <DataTable<Job>
        label="Jobs"
        columns={COLUMNS}
        query={{ ...list, isPending: list.isPending || looking }}
        rowId={(job) => job.id}
        onRowOpen={(job) => void navigate(`/jobs/${job.id}`)}
        rowHeight={66}
        empty={
          narrowed(filters) ? (
            <EmptyState
              icon={RiSearchLine}
              title={list.hasNextPage ? "None among the latest imports" : "No import fits"}
              action={<>{list.hasNextPage && <Button onClick={() => void fetchNextPage()} loading={isFetchingNextPage}>Look further back</Button>}<Button kind="primary" onClick={clear}>Show all imports</Button></>}
            >
              {list.hasNextPage ? "Older ones have not been looked at yet." : "Choose other filters, or show all imports again."}
            </EmptyState>
          ) : (
            <EmptyState icon={RiListCheck3} title="Nothing has been imported yet" action={<ButtonLink kind="primary" to="/connect">Add source</ButtonLink>}>
              Connect a source or upload a recording: each import then stands here with how far it is.
            </EmptyState>
          )
        }
      />
    </>
  );
}

function Filters({ filters, onChange }: { filters: JobFilters; onChange: (change: Partial<JobFilters>) => void }) {
  const sources = useSources().data ?? [];
  const known = sources.some((each) => each.id === filters.source) || filters.source === UPLOADS || !filters.source;
  const options = [
    { value: "", label: "Any source" },
    ...sources.map((each) => ({ value: each.id, label: each.account ? `${each.display_name} · ${each.account}` : each.display_name })),
    { value: UPLOADS, label: "Upload" },
    ...(known ? [] : [{ value: filters.source, label: filters.source.startsWith("platform:") ? filters.source.slice(9) : "A disconnected source" }]),
  ];
  return (
    <div role="group" aria-label="Filters" className="mb-4 grid grid-cols-2 gap-2 sm:flex sm:flex-wrap">
      <Field label="State" hideLabel className="sm:w-48">
        <Select value={filters.state} onChange={(event) => onChange({ state: event.target.value })} options={[{ value: "", label: "Any state" }, ...STATES]} />
      </Field>
      <Field label="Kind" hideLabel className="sm:w-44">
        <Select value={filters.kind} onChange={(event) => onChange({ kind: event.target.value })} options={[{ value: "", label: "Any kind" }, ...KINDS.map((each) => ({ value: each, label: jobTypeWords(each) }))]} />
      </Field>
      <Field label="Source" hideLabel className="max-sm:col-span-2 sm:w-72">
        <Select value={filters.source} onChange={(event) => onChange({ source: event.target.value })} options={options} />
      </Field>
      {narrowed(filters) && <Button kind="quiet" size="sm" className="max-sm:col-span-2" onClick={() => onChange({ state: "", source: "", kind: "" })}>Clear filters</Button>}
    </div>
  );
}
