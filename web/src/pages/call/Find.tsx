// Searching within the transcript: the words, how many hits, and the way from one to the next.
import { RiArrowDownSLine, RiArrowUpSLine, RiCloseLine, RiSearchLine } from "@remixicon/react";
import type { Ref } from "react";
import { num } from "@/lib/format";
import { IconButton, TextInput } from "@/parts";

export function Find({ words, onWords, hits, current, onStep, field }: {
  words: string; onWords: (words: string) => void; hits: number; /** Index of the hit one stands at. */ current: number; onStep: (by: 1 | -1) => void; field: Ref<HTMLInputElement>;
}) {
  const said = !words.trim() ? "" : hits ? `${num(current + 1)} of ${num(hits)}` : "No hits";
  return (
    <search className="flex items-center gap-1">
      <div className="relative min-w-0 flex-1">
        <RiSearchLine size={18} className="pointer-events-none absolute inset-y-0 left-3 my-auto text-soft" />
        <TextInput
          ref={field}
          aria-label="Search in this transcript"
          placeholder="Search in this transcript"
          enterKeyHint="search"
          value={words}
          onChange={(event) => onWords(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") {
              event.preventDefault();
              onStep(event.shiftKey ? -1 : 1);
            } else if (event.key === "Escape" && words) {
              event.preventDefault();
              onWords("");
            }
          }}
          className={said ? "pr-24 pl-9.5" : "pl-9.5"}
        />
        <span role="status" className="pointer-events-none absolute inset-y-0 right-3 flex items-center text-sm text-soft">{said}</span>
      </div>
      <IconButton label="Previous hit" icon={RiArrowUpSLine} disabled={!hits} onClick={() => onStep(-1)} />
      <IconButton label="Next hit" icon={RiArrowDownSLine} disabled={!hits} onClick={() => onStep(1)} />
      {words && <IconButton label="Clear the search" icon={RiCloseLine} onClick={() => onWords("")} />}
    </search>
  );
}
