// Months as usage counts them: in UTC, like the plan's month. And the days of one with what each used. Pure.
import type { Shape } from "@/api/client";

const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/;

/** The month of a moment: 2026-05. */
export const monthOf = (at: Date): string => at.toISOString().slice(0, 7);

/** What the address asks for, never later than this month. */
export function monthFrom(text: string | null, now: Date): string {
  const present = monthOf(now);
  return text && MONTH.test(text) && text < present ? text : present;
}

/** `by` months later. */
export function shifted(month: string, by: number): string {
  const [year = 0, at = 1] = month.split("-").map(Number);
  return monthOf(new Date(Date.UTC(year, at - 1 + by, 1)));
}

/** Its first moment and that of the next one. */
export function boundsOf(month: string): { from: string; to: string } {
  const first = (each: string) => new Date(`${each}-01T00:00:00Z`).toISOString();
  return { from: first(month), to: first(shifted(month, 1)) };
}

/** "May 2026" in the locale. */
export function monthWords(month: string, locale?: string): string {
  return new Intl.DateTimeFormat(locale, { month: "long", year: "numeric", timeZone: "UTC" }).format(new Date(`${month}-15T00:00:00Z`));
}

export interface Day {
  day: string;
  seconds: number;
  cost: number | null;
}

/** Every day of a month, also those on which nothing was used. */
export function daysOf(month: string, used: readonly Shape<"UsedByDay">[]): Day[] {
  const known = new Map(used.map((each) => [each.day, each]));
  const [year = 0, at = 1] = month.split("-").map(Number);
  const many = new Date(Date.UTC(year, at, 0)).getUTCDate();
  return Array.from({ length: many }, (_, index) => {
    const day = `${month}-${String(index + 1).padStart(2, "0")}`;
    const found = known.get(day);
    return { day, seconds: found?.seconds ?? 0, cost: found ? found.estimated_cost_usd : 0 };
  });
}

/** A round number of minutes at or above `minutes`, for the top of a scale: 1, 2, 5, 10, 20, 50, … */
export function roundUp(minutes: number): number {
  if (minutes <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(minutes));
  for (const step of [1, 2, 5, 10]) if (step * power >= minutes) return step * power;
  return 10 * power;
}
