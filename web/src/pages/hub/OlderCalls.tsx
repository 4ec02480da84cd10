// "Import older calls…": which days, what that would bring, how long it takes and what it costs; then it begins.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api, asProblem, data, type Shape, type Source } from "@/api/client";
import { count, day, duration, num } from "@/lib/format";
import { newKey } from "@/lib/keys";
import { Button, DateRange, Dialog, Disclosure, Field, Note, Problem, Skeleton, TextInput, toast, useNow, type Range } from "@/parts";
import { span } from "../connect/words";
import { daysBefore, dayStart } from "./change";
import { jobBegan } from "./live";

const SPANS: readonly [string, number][] = [["Last month", 31], ["Last 3 months", 92], ["Last year", 366], ["Last 5 years", 1827]];
const PATIENCE = 500;

export function OlderCalls({ source, platform, onClose }: { source: Source; platform: Shape<"Platform"> | undefined; onClose: () => void }) {
  const now = useNow();
  const today = daysBefore(now, 0);
  const back = platform?.reaches_back_days ?? null;
  const earliest = back ? daysBefore(now, back - 1) : undefined;
  const spans = SPANS.filter(([, days], at) => !back || days <= back || at === 0);
  const [range, setRange] = useState<Range>({ from: daysBefore(now, Math.min(92, (back ?? 93) - 1)), to: today });
  const [filters, setFilters] = useState<Record<string, string>>({});
  const sent = useRef({ content: "", key: "" });
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const valid = Boolean(range.from && range.to && range.from <= range.to);
  const wanted = useLater(JSON.stringify({ range, filters, valid }), PATIENCE);
  const settled = wanted === JSON.stringify({ range, filters, valid });
  const body = { source_id: source.id, date_range: { from: valid ? dayStart(range.from) : "", to: valid ? dayStart(range.to, true) : "" }, filters: filled(filters) };
  const preview = useQuery({
    queryKey: ["hub", "preview", source.id, wanted],
    enabled: valid && settled,
    placeholderData: undefined,
    staleTime: 60_000,
    queryFn: () => data(api.POST("/api/imports/preview", { body })),
  });
  const start = async () => {
    setBusy(true);
    setWrong(null);
    const content = JSON.stringify(body);
    if (sent.current.content !== content) sent.current = { content, key: newKey() };
    try {
      const header = { "idempotency-key": sent.current.key };
      const begun = await data(api.POST("/api/imports", { body: { ...body, job_type: "historical" }, params: { header } }));
      void jobBegan(begun.job_id, source.display_name);
      toast.success("The import has begun", { detail: `${source.display_name}, ${day(new Date(body.date_range.from))} to ${day(new Date(dayStart(range.to)))}` });
      onClose();
    } catch (error) {
      setWrong(asProblem(error).sentence);
      setBusy(false);
    }
  };
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Import older calls"
      lead={`Calls of ${source.display_name} from before it was connected. What you have already is skipped.`}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" loading={busy} disabled={!valid || preview.data?.call_count === 0} onClick={() => void start()}>Start import</Button>
        </>
      }
    >
      <div className="grid gap-4">
        <DateRange label="Which days" value={range} onChange={setRange} min={earliest} max={today} />
        <div className="-mt-1 flex flex-wrap gap-1.5" role="group" aria-label="Common spans">
          {spans.map(([label, days]) => (
            <Button key={label} size="sm" onClick={() => setRange({ from: daysBefore(now, Math.min(days, (back ?? days + 1) - 1)), to: today })}>{label}</Button>
          ))}
        </div>
        {back && <p className="text-sm text-soft">{source.display_name} keeps calls for {span(back)}.</p>}
        {platform && platform.filters.length > 0 && (
          <Disclosure label="Only some of these calls">
            <div className="grid gap-3">
              {platform.filters.map((each) => (
                <Field key={each.name} label={each.label} help={each.help} optional>
                  <TextInput value={filters[each.name] ?? ""} placeholder={each.placeholder} onChange={(event) => setFilters({ ...filters, [each.name]: event.target.value })} />
                </Field>
              ))}
            </div>
          </Disclosure>
        )}
        <div className="min-h-24" aria-live="polite">
          {wrong ? <Problem sentence={wrong} /> : preview.isError && settled ? <Problem sentence={asProblem(preview.error).sentence} /> : preview.data && settled ? <Expected found={preview.data} name={source.display_name} /> : valid && <Counting name={source.display_name} />}
        </div>
      </div>
    </Dialog>
  );
}

function Counting({ name }: { name: string }) {
  return (
    <div className="rounded-md bg-sunken px-4 py-3">
      <p className="text-sm text-soft">{name} is asked how many calls there are…</p>
      <Skeleton className="mt-3 h-4 w-40" /><Skeleton className="mt-2.5 w-56" />
    </div>
  );
}

function Expected({ found, name }: { found: Shape<"Preview">; name: string }) {
  const { call_count: calls, pricing, estimated_duration_seconds: seconds } = found;
  const free = pricing.free_calls_included ?? null;
  const over = free !== null && calls !== null && calls > free;
  return (
    <div className="grid gap-2">
      <div className="rounded-md bg-sunken px-4 py-3">
        <p className="text-lg font-semibold">
          {calls === null ? `${name} does not say how many` : calls === 0 ? "No calls in these days" : `${found.at_least ? "At least " : ""}${count(calls, "call")}`}
        </p>
        <p className="text-soft">
          {calls === 0 ? "Choose other days." : seconds === null ? "How long it takes shows as it goes on." : seconds < 60 ? "Takes less than a minute." : `Takes about ${duration(seconds)}.`}
          {pricing.total_cost_cents > 0 && ` Costs ${num(pricing.total_cost_cents / 100, { minimumFractionDigits: 2 })}.`}
        </p>
      </div>
      {over && <Note tone="warn">Your plan has room for {free === 0 ? "no more calls" : count(free, "more call", "more calls")} this month. The rest waits and comes by itself next month.</Note>}
    </div>
  );
}

const filled = (values: Record<string, string>) => Object.fromEntries(Object.entries(values).filter(([, value]) => value.trim()));

/** `value` once it has rested for `wait` milliseconds. */
function useLater(value: string, wait: number): string {
  const [later, setLater] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setLater(value), wait);
    return () => window.clearTimeout(timer);
  }, [value, wait]);
  return later;
}
