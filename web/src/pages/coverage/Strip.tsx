// The calendar of one source: months as rows of days on wide screens, as sheets of weeks on phones. Arrow keys walk the days.
import { useRef, useState, type CSSProperties, type KeyboardEvent } from "react";
import { cn } from "@/lib/cn";
import { useNarrow } from "@/lib/media";
import { Skeleton } from "@/parts";
import { shifted, startOf } from "../library/filters";
import { dayName, type Day, type Month, type Stretch } from "./days";

const FILL = {
  done: "bg-good/75",
  gap: "gap-hatch bg-bad-wash shadow-[inset_0_0_0_1px_var(--bad)]",
  before: "bg-transparent",
  unread: "bg-line",
};
export const SWATCHES: readonly { kind: keyof typeof FILL | "future"; words: string }[] = [
  { kind: "done", words: "Imported" },
  { kind: "gap", words: "Gap: not known to be imported" },
  { kind: "unread", words: "Not read yet" },
  { kind: "before", words: "Before the first import" },
];

export function Swatch({ kind }: { kind: keyof typeof FILL | "future" }) {
  return <span aria-hidden="true" className={cn("inline-block h-4 w-3 shrink-0 overflow-hidden rounded-[3px] border border-line", kind !== "future" && FILL[kind])} />;
}

export function Strip({ months, name, running, onPick }: {
  months: readonly Month[]; /** Whose days: "Zoom, it@acme.example". */ name: string; /** What is being imported right now. */ running: Stretch | null; onPick: (day: Day) => void;
}) {
  const weeks = useNarrow();
  const grid = useRef<HTMLDivElement>(null);
  const days = months.flatMap((each) => each.days);
  const past = days.filter((each) => each.kind !== "future");
  const [chosen, setChosen] = useState<string | null>(null);
  const [pointed, setPointed] = useState<string | null>(null);
  const at = days.some((each) => each.day === chosen) ? chosen : (past.at(-1) ?? days.at(-1))?.day;
  const told = days.find((each) => each.day === (pointed ?? chosen));
  const move = (event: KeyboardEvent, day: string) => {
    const month = startOf(day);
    const edge = (last: boolean) => (last ? shifted(shifted(day.slice(0, 8) + "01", 31).slice(0, 8) + "01", -1) : `${day.slice(0, 8)}01`);
    const byMonth = (by: number) => {
      const next = new Date(month.getFullYear(), month.getMonth() + by, 1);
      const length = new Date(next.getFullYear(), next.getMonth() + 1, 0).getDate();
      return shifted(`${next.getFullYear()}-${String(next.getMonth() + 1).padStart(2, "0")}-01`, Math.min(month.getDate(), length) - 1);
    };
    const steps: Record<string, () => string> = {
      ArrowLeft: () => shifted(day, -1),
      ArrowRight: () => shifted(day, 1),
      ArrowUp: () => (weeks ? shifted(day, -7) : byMonth(-1)),
      ArrowDown: () => (weeks ? shifted(day, 7) : byMonth(1)),
      PageUp: () => byMonth(-1),
      PageDown: () => byMonth(1),
      Home: () => edge(false),
      End: () => edge(true),
    };
    const next = steps[event.key]?.();
    if (next === undefined) return;
    event.preventDefault();
    if (!days.some((each) => each.day === next)) return;
    setChosen(next);
    grid.current?.querySelector<HTMLElement>(`[data-day="${next}"]`)?.focus();
  };
  return (
    <div>
      <div aria-hidden="true" className="mb-1 hidden pl-24 text-xs text-soft sm:grid sm:grid-cols-[repeat(31,minmax(0,1fr))] sm:gap-[3px]">
        {[1, 8, 15, 22, 29].map((each) => <span key={each} className="text-center" style={{ gridColumnStart: each }}>{each}</span>)}
      </div>
      <div ref={grid} role="grid" aria-label={`Days of ${name}`} className="grid gap-3 sm:gap-1">
        {months.map((month) => (
          <div key={month.month} role="row" className="grid gap-x-3 gap-y-1 sm:grid-cols-[5.25rem_minmax(0,1fr)] sm:items-center">
            <span role="rowheader" className="text-sm text-soft">{monthWords(month.month)}</span>
            {weeks && (
              <div aria-hidden="true" className="grid grid-cols-7 gap-1 text-center text-xs text-soft">
                {WEEKDAYS.map((each) => <span key={each}>{each}</span>)}
              </div>
            )}
            <div role="presentation" className="grid grid-cols-7 gap-1 sm:grid-cols-[repeat(31,minmax(0,1fr))] sm:gap-[3px]">
              {month.days.map((day, index) => (
                <Cell
                  key={day.day}
                  day={day}
                  style={weeks && index === 0 ? { gridColumnStart: month.offset + 1 } : undefined}
                  running={running !== null && touches(day.day, running)}
                  tabbable={day.day === at}
                  onKeyDown={(event) => {
                    if ((event.key === "Enter" || event.key === " ") && day.kind !== "future") {
                      event.preventDefault();
                      onPick(day);
                    } else move(event, day.day);
                  }}
                  onClick={() => day.kind !== "future" && onPick(day)}
                  onFocus={() => setChosen(day.day)}
                  onPoint={(over) => setPointed(over ? day.day : null)}
                />
              ))}
            </div>
          </div>
        ))}
      </div>
      <p aria-hidden="true" className="mt-1.5 min-h-5 truncate text-sm text-soft sm:pl-24">{told ? dayName(told) : ""}</p>
    </div>
  );
}

/** The place of a strip that is on its way, in its size. */
export function StripSkeleton({ months }: { months: number }) {
  return (
    <div aria-hidden="true">
      <Skeleton className="mb-4 h-5 w-72 max-w-full" />
      <div className="grid gap-3 pb-6.5 sm:gap-1 sm:pt-5.5">{Array.from({ length: months }, (_, at) => <Skeleton key={at} className="h-72 sm:h-6" />)}</div>
    </div>
  );
}

function Cell({ day, style, running, tabbable, onKeyDown, onClick, onFocus, onPoint }: {
  day: Day; style: CSSProperties | undefined; running: boolean; tabbable: boolean;
  onKeyDown: (event: KeyboardEvent) => void; onClick: () => void; onFocus: () => void; onPoint: (over: boolean) => void;
}) {
  return (
    <div
      role="gridcell"
      data-day={day.day}
      data-kind={day.kind}
      tabIndex={tabbable ? 0 : -1}
      aria-label={running ? `${dayName(day)}; being imported now` : dayName(day)}
      onKeyDown={onKeyDown}
      onClick={onClick}
      onFocus={onFocus}
      onPointerEnter={() => onPoint(true)}
      onPointerLeave={() => onPoint(false)}
      style={style}
      className={cn(
        "relative grid h-10 place-items-center overflow-hidden rounded-[4px] sm:h-6",
        day.kind === "future" ? "bg-transparent" : "cursor-pointer border border-line hover:border-line-strong",
      )}
    >
      {day.pieces.map((each) => (
        <span
          key={each.start}
          aria-hidden="true"
          className={cn("absolute inset-y-0", FILL[each.kind], running && each.kind === "gap" && "motion-safe:animate-breathe")}
          style={{ left: `${each.start * 100}%`, width: `max(${(each.end - each.start) * 100}%, ${each.kind === "gap" ? "4px" : "0px"})` }}
        />
      ))}
      <span aria-hidden="true" className={cn("relative rounded-sm px-1 text-xs sm:hidden", day.kind === "future" ? "text-soft" : "bg-card text-ink")}>{Number(day.day.slice(8))}</span>
    </div>
  );
}

function touches(day: string, { from, to }: Stretch): boolean {
  return startOf(day) < to && startOf(shifted(day, 1)) > from;
}

const monthWords = (month: string) => new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" }).format(startOf(`${month}-01`));

/** Monday to Sunday, short. 5 January 2026 was a Monday. */
const WEEKDAYS = Array.from({ length: 7 }, (_, at) => new Intl.DateTimeFormat(undefined, { weekday: "short" }).format(new Date(2026, 0, 5 + at)));
