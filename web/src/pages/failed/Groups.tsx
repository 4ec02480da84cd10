// Failed imports by cause: what went wrong, how often, since when, and one button for all of them.
import { RiCheckDoubleLine, RiRefreshLine, RiSearchLine } from "@remixicon/react";
import type { ReactNode } from "react";
import type { ListQuery } from "@/parts/DataTable";
import { count } from "@/lib/format";
import { reasonWords, stageWords } from "@/lib/words";
import { Badge, Button, ButtonLink, Card, EmptyState, ErrorState, Loading, PlatformLogo, Skeleton, Time, usePlatformName } from "@/parts";
import type { Group } from "./data";

export function Groups({ query, mayRetry, onRetry, showOf, empty }: {
  query: ListQuery<Group>; mayRetry: boolean; onRetry: (group: Group) => void; showOf: (group: Group) => string; empty: ReactNode;
}) {
  const groups = query.data?.pages.flatMap((page) => page.items) ?? [];
  if (query.isPending)
    return <div className="grid gap-3"><Loading label="Loading failed imports" />{[0, 1, 2].map((at) => <Skeleton key={at} as="card" className="h-40" />)}</div>;
  if (query.isError && !groups.length) return <Card><ErrorState error={query.error} onRetry={query.refetch} /></Card>;
  if (!groups.length) return <Card>{empty}</Card>;
  return (
    <>
      <ul className="grid gap-3" aria-label="Causes">
        {groups.map((group) => (
          <Card key={group.fingerprint} as="li">
            <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
              <div className="min-w-0 flex-1 basis-80">
                <h2 className="flex flex-wrap items-center gap-x-3 gap-y-1 text-lg font-semibold">
                  {reasonWords(group.reason)} <Badge tone="bad">{count(group.count, "call")}</Badge>
                </h2>
                <p className="mt-1 max-w-[72ch] text-pretty break-words">{group.message}</p>
                <p className="mt-2 flex flex-wrap items-center gap-x-4 gap-y-1 text-sm text-soft">
                  <Platforms names={group.source_apps ?? []} />
                  <span>Step: {stageWords(group.stage)}</span>
                  <span>{group.count > 1 ? "Since" : "Failed"} <Time at={group.first_seen_at} as="relative" /></span>
                  {group.count > 1 && <span>Last <Time at={group.last_seen_at} as="relative" /></span>}
                </p>
              </div>
              <div className="flex flex-wrap gap-2">
                <ButtonLink kind="quiet" size="sm" to={showOf(group)} preventScrollReset>{`Show ${count(group.count, "call")}`}</ButtonLink>
                {mayRetry && <Button size="sm" icon={RiRefreshLine} onClick={() => onRetry(group)}>Retry all like this</Button>}
              </div>
            </div>
          </Card>
        ))}
      </ul>
      {query.hasNextPage && <div className="mt-4 text-center"><Button loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show more causes</Button></div>}
    </>
  );
}

function Platforms({ names }: { names: readonly string[] }) {
  return names.slice(0, 4).map((each) => <Platform key={each} name={each} />);
}

function Platform({ name }: { name: string }) {
  return <span className="inline-flex items-center gap-1.5"><PlatformLogo platform={name} size="sm" />{usePlatformName(name)}</span>;
}

/** Nothing failed, or nothing fits. */
export function NoFailures({ narrowed, onClear }: { narrowed: boolean; onClear: () => void }) {
  if (narrowed) return <EmptyState icon={RiSearchLine} title="No failed import fits" action={<Button kind="primary" onClick={onClear}>Clear filters</Button>}>Choose other filters, or look at all that is not solved yet.</EmptyState>;
  return <EmptyState icon={RiCheckDoubleLine} title="Everything came through" action={<ButtonLink to="/calls">Open the library</ButtonLink>}>When a call cannot be imported it stands here, with the reason and what to do. Nothing is ever lost silently.</EmptyState>;
}
