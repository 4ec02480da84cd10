// "12 new calls": they arrived while somebody looks at the list, which stays as it is until it is asked for them.
import { RiArrowUpLine } from "@remixicon/react";
import { useState } from "react";
import { useLive } from "@/api/events";
import { queryClient, type Pages } from "@/api/queries";
import { count } from "@/lib/format";
import { Button } from "@/parts";
import { fromTheTop, keyOf, retitle, type CallRow } from "./calls";
import { mayFit, uncertain, type Filters } from "./filters";

const FAR = 5;

/** Mount it anew for other filters (`key`): what was counted belongs to the list that was shown. */
export function NewCalls({ filters, empty }: { filters: Filters; empty: boolean }) {
  const [arrived, setArrived] = useState<ReadonlySet<string>>(new Set());
  const [busy, setBusy] = useState(false);
  const show = async () => {
    setBusy(true);
    const shown = arrived;
    await fromTheTop(filters);
    setArrived((before) => new Set([...before].filter((each) => !shown.has(each)))); // more may have come meanwhile
    setBusy(false);
    window.scrollTo({ top: 0 });
  };
  useLive("import.completed", (event) => {
    if (event.outcome === "updated") return retitle(event.call_id, event.title);
    if (!mayFit(event, filters)) return undefined;
    if (empty && !uncertain(filters)) return void fromTheTop(filters); // nothing there that could jump
    return setArrived((before) => new Set(before).add(event.call_id));
  });
  useLive("reset", () => {
    // Everything is read again then: of a list that goes far down only its beginning.
    if ((queryClient.getQueryData<Pages<CallRow>>(keyOf(filters))?.pages.length ?? 0) > FAR) void fromTheTop(filters);
    setArrived(new Set());
  });
  const words = count(arrived.size, "new call");
  return (
    <div role="status" className="pointer-events-none fixed inset-x-0 bottom-20 z-20 flex justify-center sm:sticky sm:inset-x-auto sm:top-3 sm:bottom-auto sm:h-0">
      {arrived.size > 0 && (
        <Button kind="primary" size="sm" icon={RiArrowUpLine} loading={busy} onClick={() => void show()} className="pointer-events-auto h-9 !rounded-full shadow-high sm:-translate-y-1 motion-safe:animate-rise">
          {uncertain(filters) ? `${words} arrived, search again` : `Show ${words}`}
        </Button>
      )}
    </div>
  );
}
