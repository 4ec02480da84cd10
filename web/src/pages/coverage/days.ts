// The days of a source: which are proven imported, where something is missing, and how each is said. Pure; days are the
// person's own, so one of them may have 23 or 25 hours.
import { day as dayWords, timeOfDay } from "@/lib/format";
import { dayOf, shifted, startOf } from "../library/filters";

export interface Stretch {
  from: Date;
  to: Date;
}

/** What is known of a source, as dates. */
export interface Known extends Stretch {
  gaps: readonly Stretch[];
}

export type Kind = "done" | "gap" | "before" | "unread" | "future";

export interface Piece extends Stretch {
  kind: Exclude<Kind, "future">;
  /** Where it lies in the day: from 0 (its beginning) to 1. */
  start: number;
  end: number;
}
export interface Day {
  /** 2026-05-03 */
  day: string;
  /** What matters most of the day. */
  kind: Kind;
  pieces: readonly Piece[];
}
export interface Month {
  /** 2026-05 */
  month: string;
  days: readonly Day[];
  /** 0 (Monday) to 6: the weekday of the first. */
  offset: number;
}

/** `count` months, the last of which is `until` (2026-05), oldest first. */
export function monthsOf(until: string, count: number, known: Known | null, now: Date): Month[] {
  return Array.from({ length: count }, (_, at) => {
    const month = monthShifted(until, at + 1 - count);
    const days: Day[] = [];
    for (let day = `${month}-01`; day.startsWith(month); day = shifted(day, 1)) days.push(dayIn(day, known, now));
    return { month, days, offset: (startOf(`${month}-01`).getDay() + 6) % 7 };
  });
}

export const monthOf = (at: Date): string => dayOf(at).slice(0, 7);

/** `months` later or earlier: 2026-01 and -1 is 2025-12. */
export function monthShifted(month: string, months: number): string {
  const at = startOf(`${month}-01`);
  at.setMonth(at.getMonth() + months);
  return monthOf(at);
}

/** One day. */
export function dayIn(day: string, known: Known | null, now: Date): Day {
  const from = startOf(day);
  const to = startOf(shifted(day, 1));
  if (from > now) return { day, kind: "future", pieces: [] };
  const pieces: Piece[] = [];
  const add = (kind: Piece["kind"], a: Date, b: Date) => {
    const begin = Math.max(+a, +from);
    const end = Math.min(+b, +to);
    if (end <= begin) return;
    const share = (at: number) => (at - +from) / (+to - +from);
    pieces.push({ kind, from: new Date(begin), to: new Date(end), start: share(begin), end: share(end) });
  };
  if (!known) add("before", from, to);
  else {
    add("before", from, known.from);
    let at = known.from;
    for (const gap of known.gaps) {
      add("done", at, gap.from);
      add("gap", gap.from, gap.to);
      at = gap.to;
    }
    add("done", at, known.to);
    add("unread", known.to, new Date(Math.min(+now, +to)));
  }
  const has = (kind: Kind) => pieces.some((each) => each.kind === kind);
  const kind = (["gap", "done", "unread", "before"] as const).find(has) ?? "before";
  return { day, kind, pieces };
}

const WHOLE = 0.999;

/** The name of a day: "3 May 2026: gap, 09:00–17:30". */
export function dayName({ day, kind, pieces }: Day): string {
  const date = dayWords(startOf(day));
  if (kind === "future") return `${date}: still to come`;
  if (kind === "before") return `${date}: before the first import`;
  if (kind === "unread") return `${date}: not read yet`;
  if (kind === "done") return `${date}: imported`;
  const gaps = pieces.filter((each) => each.kind === "gap");
  if (gaps.reduce((sum, each) => sum + each.end - each.start, 0) >= WHOLE) return `${date}: gap, the whole day`;
  return `${date}: ${gaps.length > 1 ? "gaps" : "gap"}, ${gaps.map((each) => hours(each)).join(" and ")}`;
}

function hours({ from, to }: Stretch): string {
  const end = dayOf(to) === dayOf(from) ? timeOfDay(to) : "midnight";
  return `${timeOfDay(from)}–${end}`;
}

/** A stretch of time in words: "3 May 2026, 09:00–17:30", "3 May 2026, 22:00 – 5 May 2026, 06:00", "3 May 2026 – 4 May 2026". */
export function stretchWords({ from, to }: Stretch): string {
  const last = new Date(+to - 1);
  const wholeDays = +startOf(dayOf(from)) === +from && +startOf(dayOf(to)) === +to;
  if (wholeDays) return dayOf(from) === dayOf(last) ? dayWords(from) : `${dayWords(from)} – ${dayWords(last)}`;
  if (dayOf(from) === dayOf(last)) return `${dayWords(from)}, ${hours({ from, to })}`;
  return `${dayWords(from)}, ${timeOfDay(from)} – ${dayWords(to)}, ${timeOfDay(to)}`;
}

/** The gap a day lies in, whole; the day itself where there is none. Never beyond now. */
export function stretchOf(day: Day, known: Known | null, now: Date): Stretch {
  const first = day.pieces.find((each) => each.kind === "gap");
  const gap = first && known?.gaps.find((each) => each.from <= first.from && each.to >= first.to);
  if (gap) return gap;
  const to = startOf(shifted(day.day, 1));
  return { from: startOf(day.day), to: to > now ? now : to };
}

/** How long the gaps are together, in seconds. */
export const missing = (gaps: readonly Stretch[]): number => gaps.reduce((sum, each) => sum + (+each.to - +each.from) / 1000, 0);
