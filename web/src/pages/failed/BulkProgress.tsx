// How far a retry of many is. Its id stands in the address, so that a reload or a shared link shows it again.
import { RiCloseLine } from "@remixicon/react";
import { useEffect, useEffectEvent, useRef } from "react";
import { asProblem, type Shape } from "@/api/client";
import { queryClient } from "@/api/queries";
import { useCalm } from "@/lib/calm";
import { count, num } from "@/lib/format";
import { Card, IconButton, Note, Progress, StackedBar, Time, toast } from "@/parts";
import { reread, useBulk } from "./data";

type Bulk = Shape<"BulkRetry">;

/** The retries that were begun on this page: their end is told even where they were quick. */
export const begun = new Set<string>();

/** How it went, one sentence a kind. */
function ends(bulk: Bulk): string[] {
  return [
    bulk.resolved ? `${count(bulk.resolved, "call")} imported` : "",
    bulk.failed_again ? `${count(bulk.failed_again, "call")} failed again` : "",
    bulk.discarded ? `${num(bulk.discarded)} discarded meanwhile` : "",
  ].filter(Boolean);
}

export function BulkProgress({ id, onClose }: { id: string; onClose: () => void }) {
  const found = useBulk(id);
  const bulk = found.data;
  const running = useRef(begun.has(id));
  const told = useEffectEvent((after: Bulk) => {
    if (!running.current) return;
    running.current = false;
    begun.delete(id);
    const [first = "Nothing was left to retry", ...rest] = ends(after);
    const say = after.failed_again && !after.resolved ? toast.error : toast.success;
    say(first, { detail: rest.join(", ") || undefined, id: `retry-${id}` });
    void reread();
  });
  useEffect(() => {
    if (!bulk) return;
    if (bulk.finished_at) told(bulk);
    else running.current = true;
  }, [bulk]);
  const moved = bulk ? Math.floor((bulk.resolved + bulk.failed_again) / Math.max(1, bulk.total / 20)) : 0;
  useEffect(() => {
    if (moved) void queryClient.invalidateQueries({ queryKey: ["failed", "groups"] }); // at most twenty times a retry
  }, [moved]);

  const over = Boolean(bulk?.finished_at);
  const words = !bulk ? "" : over ? ends(bulk).join(" · ") || "Nothing was left to retry" : `Retrying… ${num(bulk.resolved + bulk.failed_again + bulk.discarded)} of ${count(bulk.total, "call")}`;
  const said = useCalm(words, over);

  if (found.isError && !bulk)
    return <div className="mb-4"><Note tone="warn" action={<IconButton label="Close" icon={RiCloseLine} onClick={onClose} />}>{asProblem(found.error).status === 404 ? "This retry is no longer known. What came of it stands in the list below." : asProblem(found.error).sentence}</Note></div>;
  if (!bulk) return <Card className="mb-4 h-36"><span role="status" className="sr-only">Loading the progress of the retry</span></Card>;
  return (
    <Card className="mb-4" as="section">
      <div className="mb-2 flex items-start justify-between gap-4">
        <div className="min-w-0">
          <p className="font-serif text-lg font-semibold">{words}</p>
          <p role="status" className="sr-only">{said}</p>
          <p className="text-sm text-soft">{over ? <>Finished <Time at={bulk.finished_at} as="relative" /></> : `${num(bulk.sent)} sent, ${num(bulk.in_progress)} on their way. You may leave this page; it goes on.`}</p>
        </div>
        <IconButton label="Close the progress" icon={RiCloseLine} onClick={onClose} className="-mt-1 -mr-1.5" />
      </div>
      <div className="sr-only"><Progress label="Progress of the retry" value={bulk.total ? bulk.resolved + bulk.failed_again + bulk.discarded : 1} max={bulk.total || 1} text={words} hideText /></div>
      <StackedBar
        label="Retried"
        total={bulk.total}
        parts={[
          { key: "resolved", value: bulk.resolved, tone: "good", label: "imported" },
          { key: "again", value: bulk.failed_again, tone: "bad", label: "failed again" },
          { key: "discarded", value: bulk.discarded, tone: "neutral", label: "discarded" },
          { key: "way", value: bulk.in_progress, tone: "info", label: "on their way" },
        ]}
      />
    </Card>
  );
}
