// What of the failed imports is shown: words, state, step, reason, source, and the import or the cause one came from.
import { RiCloseLine, RiSearchLine } from "@remixicon/react";
import { useEffect, useEffectEvent, useState } from "react";
import { usePlatforms, useSources } from "@/api/queries";
import { reasonWords, STAGES, stageWords } from "@/lib/words";
import { Button, Field, Select, TextInput } from "@/parts";
import { useReasons } from "./data";
import { narrowed, NONE, STATES, type FailedFilters } from "./filters";

type Change = (change: Partial<FailedFilters>) => void;
const PAUSE = 300;

export function FilterBar({ filters, onChange }: { filters: FailedFilters; onChange: Change }) {
  const reasons = useReasons();
  const options = filters.reason && !reasons.includes(filters.reason) ? [...reasons, filters.reason] : reasons;
  return (
    <div role="group" aria-label="Filters" className="mb-4 grid grid-cols-2 gap-2 md:grid-cols-4 xl:grid-cols-[minmax(0,1.6fr)_repeat(4,minmax(0,1fr))]">
      <Words value={filters.q} onChange={(q) => onChange({ q })} />
      <Field label="State" hideLabel>
        <Select value={filters.state} onChange={(event) => onChange({ state: event.target.value })} options={[{ value: "", label: "Not solved yet" }, ...STATES]} />
      </Field>
      <Field label="Step" hideLabel>
        <Select value={filters.stage} onChange={(event) => onChange({ stage: event.target.value })} options={[{ value: "", label: "Any step" }, ...STAGES.map((each) => ({ value: each, label: stageWords(each) }))]} />
      </Field>
      <Field label="Reason" hideLabel>
        <Select value={filters.reason} onChange={(event) => onChange({ reason: event.target.value })} options={[{ value: "", label: "Any reason" }, ...options.map((each) => ({ value: each, label: reasonWords(each) }))]} />
      </Field>
      <SourceSelect value={filters.source} onChange={(source) => onChange({ source })} />
      {narrowed(filters) && (
        <div className="col-span-full flex flex-wrap items-center gap-2">
          {filters.job_id && <Chip label="Of one import" onClear={() => onChange({ job_id: "" })} />}
          {filters.fingerprint && <Chip label="Of one cause" onClear={() => onChange({ fingerprint: "" })} />}
          <Button kind="quiet" size="sm" onClick={() => onChange(NONE)}>Clear filters</Button>
        </div>
      )}
    </div>
  );
}

function Chip({ label, onClear }: { label: string; onClear: () => void }) {
  return (
    <button type="button" onClick={onClear} aria-label={`${label}: show all again`} className="target inline-flex items-center gap-1.5 rounded-full border border-accent bg-accent-wash px-3 text-sm font-medium text-accent">
      {label} <RiCloseLine size={16} />
    </button>
  );
}

function SourceSelect({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const names = new Map((usePlatforms().data ?? []).map((each) => [each.platform, each.display_name]));
  names.set("upload", "Upload").set("generic", "Webhook");
  const used = new Set([...(useSources().data ?? []).map((each) => each.platform), "upload", "generic", ...(value ? [value] : [])]);
  const options = [...used].map((each) => ({ value: each, label: names.get(each) ?? each })).sort((a, b) => a.label.localeCompare(b.label));
  return (
    <Field label="Source" hideLabel>
      <Select value={value} onChange={(event) => onChange(event.target.value)} options={[{ value: "", label: "Any source" }, ...options]} />
    </Field>
  );
}

/** Looks while one types, after a short pause. */
function Words({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  const [seen, setSeen] = useState(value);
  if (seen !== value) {
    setSeen(value);
    if (text.trim() !== value) setText(value);
  }
  const send = useEffectEvent((wanted: string) => {
    if (wanted.trim() !== value) onChange(wanted.trim());
  });
  useEffect(() => {
    const after = window.setTimeout(() => send(text), PAUSE);
    return () => window.clearTimeout(after);
  }, [text]);
  return (
    <search className="relative col-span-2 block md:col-span-4 xl:col-span-1">
      <RiSearchLine size={18} className="pointer-events-none absolute inset-y-0 left-3 my-auto text-soft" />
      <TextInput type="search" aria-label="Search failed imports" placeholder="Search failed imports" maxLength={200} value={text} onChange={(event) => setText(event.target.value)} className="pl-9" />
    </search>
  );
}
