// Failed imports: calls that could not be imported, by cause or one by one, and what to do about each.
import { RiRefreshLine } from "@remixicon/react";
import { useState } from "react";
import { useAddress, addressWith } from "@/lib/address";
import { count } from "@/lib/format";
import { Button, Note, PageHeader, TabPanel, Tabs } from "@/parts";
import { BulkProgress } from "./failed/BulkProgress";
import { useBulk, useFailedList, useFailedLive, useGroups, type Group } from "./failed/data";
import { FilterBar } from "./failed/FilterBar";
import { filtersOf, mayRetry, narrowed, NONE, retryOf } from "./failed/filters";
import { Groups, NoFailures } from "./failed/Groups";
import { List } from "./failed/List";
import { RetryDialog, type Wanted } from "./failed/RetryDialog";

const VIEWS = [{ value: "causes", label: "By cause" }, { value: "calls", label: "One by one" }];

export default function Failed() {
  const [search, change] = useAddress();
  const filters = filtersOf(search);
  const view = search.get("view") === "calls" ? "calls" : "causes";
  const groups = useGroups(filters, view === "causes");
  const list = useFailedList(filters, view === "calls");
  const [wanted, setWanted] = useState<Wanted | null>(null);
  const retry = search.get("retry");
  const bulk = useBulk(retry);
  const { fresh, show } = useFailedLive(retry !== null && !bulk.isError && !bulk.data?.finished_at);
  const some = view === "causes" ? groups.data?.pages[0]?.items.length : list.data?.pages[0]?.items.length;
  const able = mayRetry(filters);
  const like = (group: Group) => setWanted({ title: "Retry all like this?", filter: { ...retryOf(filters), fingerprint: group.fingerprint } });
  const all = () => setWanted({ title: narrowed(filters) ? "Retry all that are shown?" : "Retry all failed imports?", filter: retryOf(filters) });
  const empty = <NoFailures narrowed={narrowed(filters)} onClear={() => change(NONE)} />;
  return (
    <>
      <PageHeader
        title="Failed imports"
        lead="Calls that could not be imported: why, and what to do. None of them is lost, and one that failed never holds up the others."
        actions={able && some ? <Button icon={RiRefreshLine} onClick={all}>{narrowed(filters) ? "Retry all shown" : "Retry all"}</Button> : null}
      />
      {retry && <BulkProgress key={retry} id={retry} onClose={() => change({ retry: null })} />}
      <FilterBar filters={filters} onChange={change} />
      {fresh > 0 && <div className="mb-4"><Note tone="info" role="status" action={<Button size="sm" onClick={show}>Show</Button>}>{count(fresh, "call")} failed since this list was read.</Note></div>}
      <Tabs label="How they are listed" tabs={VIEWS} value={view} onChange={(value) => change({ view: value === "causes" ? null : value }, { push: true })}>
        <TabPanel value="causes">
          <Groups
            query={groups}
            mayRetry={able}
            onRetry={like}
            showOf={(group) => `?${addressWith(search, { view: "calls", fingerprint: group.fingerprint })}`}
            empty={empty}
          />
        </TabPanel>
        <TabPanel value="calls">
          <List query={list} empty={empty} />
        </TabPanel>
      </Tabs>
      <RetryDialog wanted={wanted} onClose={() => setWanted(null)} onBegun={(id) => change({ retry: id })} />
    </>
  );
}
