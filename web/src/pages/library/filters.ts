// Which calls are wanted: read from the address and written into it, so that back, reload and a shared link keep it. Pure.

export interface Filters {
  q: string;
  source: string;
  person: string;
  speaker: string;
  /** Days as YYYY-MM-DD in the person's zone; empty means open. */
  from: string;
  to: string;
}
export type FilterName = keyof Filters;

export const NAMES: readonly FilterName[] = ["q", "source", "person", "speaker", "from", "to"];
export const NONE: Filters = { q: "", source: "", person: "", speaker: "", from: "", to: "" };
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** What the address asks for. What is no day is left out rather than sent. */
export function filtersOf(address: URLSearchParams): Filters {
  const found = { ...NONE };
  for (const name of NAMES) found[name] = (address.get(name) ?? "").trim();
  if (!isDay(found.from)) found.from = "";
  if (!isDay(found.to)) found.to = "";
  return found;
}

/** The address with `change` made to it; what else stands there stays. */
export function addressWith(address: URLSearchParams, change: Partial<Filters>): URLSearchParams {
  const after = new URLSearchParams(address);
  for (const name of NAMES) {
    const value = change[name];
    if (value === undefined) continue;
    if (value.trim()) after.set(name, value.trim());
    else after.delete(name);
  }
  return after;
}

/** Whether anything narrows the list. */
export const narrowed = (filters: Filters): boolean => NAMES.some((name) => filters[name] !== "");

/** What the API is asked: days become the first moment of the first day and the end of the last, in the person's zone. */
export function queryOf(filters: Filters) {
  return {
    q: filters.q || undefined,
    source_app: filters.source || undefined,
    participant: filters.person || undefined,
    speaker: filters.speaker || undefined,
    from: filters.from ? startOf(filters.from).toISOString() : undefined,
    to: filters.to ? startOf(shifted(filters.to, 1)).toISOString() : undefined,
  };
}

/** What is known of a call that has just arrived. */
export interface Arrival {
  source_app: string;
  recording_start_time: string | null;
  imported_at: string;
}

/** Whether a call that has just arrived can belong to the list. Words and people are only known to the search itself. */
export function mayFit(arrival: Arrival, filters: Filters): boolean {
  if (filters.source && filters.source !== arrival.source_app) return false;
  const at = new Date(arrival.recording_start_time ?? arrival.imported_at);
  if (filters.from && at < startOf(filters.from)) return false;
  return !(filters.to && at >= startOf(shifted(filters.to, 1)));
}

/** Whether only the search itself can say what fits. */
export const uncertain = (filters: Filters): boolean => Boolean(filters.q || filters.person || filters.speaker);

/** The last `days` days, today included. */
export function lastDays(days: number, now: Date): { from: string; to: string } {
  const today = dayOf(now);
  return { from: shifted(today, 1 - days), to: today };
}

/** The first moment of a day in the person's zone. */
export function startOf(day: string): Date {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year ?? 0, (month ?? 1) - 1, date ?? 1);
}

/** The day of a moment in the person's zone: 2026-05-03. */
export function dayOf(at: Date): string {
  return `${String(at.getFullYear()).padStart(4, "0")}-${String(at.getMonth() + 1).padStart(2, "0")}-${String(at.getDate()).padStart(2, "0")}`;
}

/** `days` later or, below zero, earlier. By the calendar: days of 23 or 25 hours count as one. */
export function shifted(day: string, days: number): string {
  const at = startOf(day);
  at.setDate(at.getDate() + days);
  return dayOf(at);
}

function isDay(text: string): boolean {
  return DAY.test(text) && dayOf(startOf(text)) === text;
}
