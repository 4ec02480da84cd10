// Importing a time again: a gap, or any days. First what it would bring, then it begins.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api, asProblem, data, type Shape, type Source } from "@/api/client";
import { followJob } from "@/api/follow";
import { count, duration, num } from "@/lib/format";
import { newKey } from "@/lib/keys";
import { Button, ButtonLink, DateRange, Dialog, Note, Problem, Skeleton, useNow, type Range } from "@/parts";
import { dayOf, shifted, startOf } from "../library/filters";
import { stretchWords, type Stretch } from "./days";

const REST = 500;
const FIRST_MENTIONED = 30;

export function Backfill({ source, stretch: given, missing, onClose, onBegun }: {
  source: Source; /** What to import; null lets one choose days. */ stretch: Stretch | null; /** It is a gap. */ missing: boolean; onClose: () => void; onBegun: (job: string, stretch: Stretch) => void;
}) {
  const now = useNow();
  const [range, setRange] = useState<Range>({ from: shifted(dayOf(now), -FIRST_MENTIONED), to: dayOf(now) });
  const sent = useRef({ content: "", key: "" });
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<unknown>(null);
  const [opened] = useState(now);
  const wanted = useRested(JSON.stringify(given ?? range), REST, given !== null);
  const stretch = given ?? stretchOfDays(range, opened);
  const settled = wanted === JSON.stringify(given ?? range);
  const body = stretch && { from: stretch.from.toISOString(), to: stretch.to.toISOString() };
  const preview = useQuery({
    queryKey: ["coverage", source.id, "preview", body?.from, body?.to],
    enabled: body !== null && settled,
    placeholderData: undefined,
    staleTime: 60_000,
    queryFn: () => data(api.POST("/api/imports/preview", { body: { source_id: source.id, date_range: body!, filters: {} } })),
  });
  const start = async () => {
    if (!body || !stretch) return;
    setBusy(true);
    setWrong(null);
    const content = JSON.stringify(body);
    if (sent.current.content !== content) sent.current = { content, key: newKey() };
    try {
      const params = { path: { source_id: source.id }, header: { "idempotency-key": sent.current.key } };
      const begun = await data(api.POST("/api/sources/{source_id}/backfill", { params, body }));
      followJob(begun.job_id, source.display_name);
      onBegun(begun.job_id, stretch);
      onClose();
    } catch (error) {
      setWrong(error);
      setBusy(false);
    }
  };
  const trouble = wrong ?? (preview.isError ? preview.error : null);
  const stopped = trouble !== null && ["source_paused", "source_error", "no_sync"].includes(asProblem(trouble).reason);
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={missing ? "Backfill this gap?" : given ? "Import this time again?" : "Import a time again"}
      lead={given ? <>{stretchWords(given)}, from {source.display_name} ({source.account}).</> : `Calls of ${source.display_name} (${source.account}). What is in your library already is skipped.`}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" loading={busy} disabled={!stretch || stopped} onClick={() => void start()}>{missing ? "Start backfill" : "Start import"}</Button>
        </>
      }
    >
      <div className="grid gap-4">
        {!given && <DateRange label="Which days" value={range} onChange={setRange} max={dayOf(now)} />}
        <div className="min-h-24" aria-live="polite">
          {trouble !== null ? (
            <Problem sentence={asProblem(trouble).sentence} action={stopped ? <ButtonLink size="sm" to="/">To the Import Hub</ButtonLink> : undefined} />
          ) : preview.data && settled ? (
            <Expected found={preview.data} name={source.display_name} missing={missing} />
          ) : (
            stretch && (
              <div className="rounded-md bg-sunken px-4 py-3">
                <p className="text-sm text-soft">{source.display_name} is asked how many calls there are…</p>
                <Skeleton className="mt-3 h-4 w-40" /><Skeleton className="mt-2.5 w-56" />
              </div>
            )
          )}
        </div>
      </div>
    </Dialog>
  );
}

function Expected({ found, name, missing }: { found: Shape<"Preview">; name: string; missing: boolean }) {
  const { call_count: calls, at_least, pricing, estimated_duration_seconds: seconds } = found;
  const free = pricing.free_calls_included ?? null;
  const title = calls === null ? `${name} does not say how many` : calls === 0 ? `${name} has no calls there` : `${at_least ? "At least " : ""}${count(calls, "call")}`;
  const long = calls === 0 ? (missing ? "Start it all the same: then the time counts as imported, and the gap closes." : "There is nothing to import.") : seconds === null ? "How long it takes shows as it goes on." : seconds < 60 ? "Takes less than a minute." : `Takes about ${duration(seconds)}.`;
  return (
    <div className="grid gap-2">
      <div className="rounded-md bg-sunken px-4 py-3">
        <p className="text-lg font-semibold">{title}</p>
        <p className="text-soft">
          {long}
          {calls !== 0 && " Those you have already are skipped."}
          {pricing.total_cost_cents > 0 && ` Costs ${num(pricing.total_cost_cents / 100, { minimumFractionDigits: 2 })}.`}
        </p>
      </div>
      {free !== null && calls !== null && calls > free && (
        <Note tone="warn">Your plan has room for {free === 0 ? "no more calls" : count(free, "more call", "more calls")} this month. What is new beyond that waits and comes by itself next month.</Note>
      )}
    </div>
  );
}

function stretchOfDays({ from, to }: Range, now: Date): Stretch | null {
  if (!from || !to || from > to) return null;
  const end = startOf(shifted(to, 1));
  const stretch = { from: startOf(from), to: end > now ? now : end };
  return stretch.from < stretch.to ? stretch : null;
}

/** `value` once it has rested; at once where it does not change by hand. */
function useRested(value: string, wait: number, atOnce: boolean): string {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setRested(value), wait);
    return () => window.clearTimeout(timer);
  }, [value, wait]);
  return atOnce ? value : rested;
}
