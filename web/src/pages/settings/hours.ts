// The processing window as hours of a day: which part is open, how long, and in which zone. Pure.
import { duration } from "@/lib/format";

/** Minutes since midnight of "20:30"; null for what is no time. */
export function minutesOf(time: string): number | null {
  const found = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(time);
  return found ? Number(found[1]) * 60 + Number(found[2]) : null;
}

const DAY = 24 * 60;

/** The open parts of a day in minutes, from midnight to midnight; two where the window goes past midnight. */
export function openParts(from: number, to: number): { from: number; to: number }[] {
  if (from === to) return [];
  if (from < to) return [{ from, to }];
  return [{ from: 0, to }, { from, to: DAY }].filter((each) => each.from < each.to);
}

/** How long the window is, in minutes. */
export const openFor = (from: number, to: number): number => (to - from + DAY) % DAY;

/** The minute of the day that it is in a zone; null for a zone the browser does not know. */
export function minuteIn(zone: string, now: Date): number | null {
  try {
    const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(now);
    const of = (type: string) => Number(parts.find((each) => each.type === type)?.value ?? 0);
    return of("hour") * 60 + of("minute");
  } catch {
    return null;
  }
}

/** "10 hours a day, past midnight". */
export function lengthWords(from: number, to: number): string {
  return `${duration(openFor(from, to) * 60)} a day${from > to && to > 0 ? ", past midnight" : ""}`;
}

/** The time zone of this device. */
export const ownZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Every zone one may choose, `also` among them. */
export function zones(also: readonly string[]): string[] {
  const known = typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : [];
  return [...new Set(["UTC", ...also, ...known])].sort((a, b) => a.localeCompare(b));
}
