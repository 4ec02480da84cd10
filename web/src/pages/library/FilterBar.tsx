// What is looked for: the search field and a chip a filter.
import { RiCloseLine, RiSearchLine } from "@remixicon/react";
import { useEffect, useEffectEvent, useRef, useState, type SubmitEvent } from "react";
import { usePlatforms, useSources } from "@/api/queries";
import { cn } from "@/lib/cn";
import { day } from "@/lib/format";
import { Button, DateRange, Field, IconButton, PlatformLogo, TextInput, usePlatformName } from "@/parts";
import { dayOf, lastDays, narrowed, NONE, startOf, type Filters } from "./filters";
import { FilterChip } from "./Popover";

type Change = (change: Partial<Filters>, options?: { replace?: boolean }) => void;
const PAUSE = 300;

export function FilterBar({ filters, onChange }: { filters: Filters; onChange: Change }) {
  return (
    <div className="mb-4 grid gap-3">
      <SearchField value={filters.q} onChange={(q) => onChange({ q }, { replace: true })} />
      <div role="group" aria-label="Filters" className="flex flex-wrap items-center gap-2">
        <SourceFilter value={filters.source} onChange={onChange} />
        <WhenFilter filters={filters} onChange={onChange} />
        <WordsFilter name="Person" label="Name, email or phone" help="Somebody who was on the call. A part of it is enough." value={filters.person} onChange={(person) => onChange({ person })} />
        <WordsFilter name="Speaker" label="Name of the speaker" help="Somebody who says something in the transcript." value={filters.speaker} onChange={(speaker) => onChange({ speaker })} />
        {narrowed(filters) && <Button kind="quiet" size="sm" onClick={() => onChange(NONE)}>Clear all</Button>}
      </div>
    </div>
  );
}

/** Searches while one types, after a short pause; "/" comes here from anywhere on the page. */
function SearchField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  const [seen, setSeen] = useState(value);
  const field = useRef<HTMLInputElement>(null);
  if (seen !== value) {
    // The address changed by itself: back, or "Clear all".
    setSeen(value);
    if (text.trim() !== value) setText(value);
  }
  const send = useEffectEvent((wanted: string) => {
    if (wanted.trim() !== value) onChange(wanted);
  });
  useEffect(() => {
    const after = window.setTimeout(() => send(text), PAUSE);
    return () => window.clearTimeout(after);
  }, [text]);
  useEffect(() => {
    const jump = (event: KeyboardEvent) => {
      const typing = (event.target as HTMLElement).closest("input, textarea, select, [contenteditable]");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    document.addEventListener("keydown", jump);
    return () => document.removeEventListener("keydown", jump);
  }, []);
  return (
    <search className="relative block">
      <RiSearchLine size={20} className="pointer-events-none absolute inset-y-0 left-3.5 my-auto text-soft" />
      <TextInput
        ref={field}
        type="search"
        role="searchbox"
        aria-label="Search in titles and transcripts"
        placeholder="Search in titles and transcripts"
        enterKeyHint="search"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => event.key === "Enter" && text.trim() !== value && onChange(text)}
        className="h-12 pr-12 pl-11 text-base [&::-webkit-search-cancel-button]:hidden"
      />
      {text && (
        <IconButton
          label="Clear the search"
          icon={RiCloseLine}
          className="absolute inset-y-0 right-1.5 my-auto"
          onClick={() => {
            setText("");
            onChange("");
            field.current?.focus();
          }}
        />
      )}
    </search>
  );
}

function SourceFilter({ value, onChange }: { value: string; onChange: Change }) {
  const name = usePlatformName(value || "zoom");
  const connected = new Set((useSources().data ?? []).map((each) => each.platform));
  const platforms = (usePlatforms().data ?? []).map((each) => ({ id: each.platform, name: each.display_name }));
  for (const each of [{ id: "upload", name: "Upload" }, { id: "generic", name: "Webhook" }]) {
    if (!platforms.some((other) => other.id === each.id)) platforms.push(each);
    connected.add(each.id);
  }
  platforms.sort((a, b) => Number(connected.has(b.id)) - Number(connected.has(a.id)) || a.name.localeCompare(b.name));
  return (
    <FilterChip name="Source" value={value ? name : ""} onClear={() => onChange({ source: "" })}>
      {(close) => (
        <div role="radiogroup" aria-label="Source" className="-m-2 max-h-[50dvh] overflow-y-auto p-1">
          {[{ id: "", name: "All sources" }, ...platforms].map((each) => (
            <label key={each.id} className={cn("target flex items-center gap-3 rounded-md px-2 hover:bg-accent-wash has-focus-visible:outline-2 has-focus-visible:outline-accent", each.id === value && "font-semibold")}>
              <input
                type="radio"
                name="source"
                value={each.id}
                checked={each.id === value}
                onChange={(event) => onChange({ source: each.id }, { replace: (event.nativeEvent as MouseEvent).detail === 0 })} // arrow keys walk through many
                onClick={(event) => event.detail > 0 && close()}
                onKeyDown={(event) => event.key === "Enter" && close()}
                className="size-4 accent-accent"
              />
              {each.id && <PlatformLogo platform={each.id} size="sm" />}
              {each.name}
            </label>
          ))}
        </div>
      )}
    </FilterChip>
  );
}

function WhenFilter({ filters, onChange }: { filters: Filters; onChange: Change }) {
  const now = new Date();
  const presets = [
    { name: "Today", ...lastDays(1, now) },
    { name: "Last 7 days", ...lastDays(7, now) },
    { name: "Last 30 days", ...lastDays(30, now) },
    { name: "This year", from: `${now.getFullYear()}-01-01`, to: dayOf(now) },
  ];
  const chosen = presets.find((each) => each.from === filters.from && each.to === filters.to);
  return (
    <FilterChip name="When" value={chosen?.name ?? daysInWords(filters)} onClear={() => onChange({ from: "", to: "" })}>
      {(close) => (
        <>
          <div className="mb-4 grid grid-cols-2 gap-2">
            {presets.map((each) => (
              <Button
                key={each.name}
                size="sm"
                aria-pressed={each === chosen}
                onClick={() => {
                  onChange({ from: each.from, to: each.to });
                  close();
                }}
              >
                {each.name}
              </Button>
            ))}
          </div>
          <DateRange label="Recorded" value={{ from: filters.from, to: filters.to }} onChange={(range) => onChange(range, { replace: true })} max={dayOf(now)} />
        </>
      )}
    </FilterChip>
  );
}

function daysInWords({ from, to }: Filters): string {
  const shown = (each: string) => day(startOf(each));
  if (from && to) return from === to ? shown(from) : `${shown(from)} – ${shown(to)}`;
  if (from) return `from ${shown(from)}`;
  return to ? `until ${shown(to)}` : "";
}

function WordsFilter({ name, label, help, value, onChange }: { name: string; label: string; help: string; value: string; onChange: (value: string) => void }) {
  return (
    <FilterChip name={name} value={value} onClear={() => onChange("")}>
      {(close) => {
        const submit = (event: SubmitEvent<HTMLFormElement>) => {
          event.preventDefault();
          onChange(String(new FormData(event.currentTarget).get("words") ?? ""));
          close();
        };
        return (
          <form onSubmit={submit}>
            <Field label={label} help={help}><TextInput name="words" defaultValue={value} maxLength={200} autoComplete="off" /></Field>
            <Button type="submit" kind="primary" size="sm" className="mt-3">Apply</Button>
          </form>
        );
      }}
    </FilterChip>
  );
}
