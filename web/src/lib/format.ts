// Numbers, times, durations and sizes as people of this locale read them. Pure: the present is an argument.

const LOCALE: string | undefined = undefined; // the browser's own

const numbers = new Map<string, Intl.NumberFormat>();

/** A number in the locale: 12,345. */
export function num(value: number, options: Intl.NumberFormatOptions = {}, locale = LOCALE): string {
  const key = JSON.stringify([options, locale]);
  let format = numbers.get(key);
  if (!format) numbers.set(key, (format = new Intl.NumberFormat(locale, options)));
  return format.format(value);
}

/** `1 call`, `2 calls`, `1,204 calls`. */
export function count(value: number, one: string, many = `${one}s`, locale = LOCALE): string {
  return `${num(value, {}, locale)} ${value === 1 ? one : many}`;
}

/** A share from 0 to 1 as `42 %` in the locale, never 100 % before it is whole. */
export function percent(share: number, locale = LOCALE): string {
  const shown = share < 1 ? Math.min(share, 0.99) : 1;
  return num(Math.max(0, shown), { style: "percent", maximumFractionDigits: 0 }, locale);
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

/** A size: 312 kB, 2 GB. */
export function bytes(value: number, locale = LOCALE): string {
  let step = 0;
  while (value >= 999.5 && step < UNITS.length - 1) {
    value /= 1000;
    step += 1;
  }
  const digits = step === 0 || value >= 100 ? 0 : 1;
  return num(value, { style: "unit", unit: UNITS[step] ?? "byte", unitDisplay: step ? "short" : "long", maximumFractionDigits: digits }, locale);
}

/** A length as a player shows it: 4:05, 1:02:09. */
export function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const rest = String(whole % 60).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** A length in words, at most two units: 45 seconds, 4 minutes, 1 hour 20 minutes, 3 days. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return count(whole, "second");
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return count(minutes, "minute");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return join(count(hours, "hour"), minutes % 60, "minute");
  const days = Math.floor(hours / 24);
  return days < 4 ? join(count(days, "day"), hours % 24, "hour") : count(Math.round(minutes / 1440), "day");
}

function join(first: string, rest: number, unit: string): string {
  return rest ? `${first} ${count(rest, unit)}` : first;
}

/** What is left, as people say it: "about 4 minutes left", "less than a minute left". */
export function left(until: Date, now: Date): string {
  const seconds = (until.getTime() - now.getTime()) / 1000;
  if (seconds <= 0) return "nearly done";
  return seconds < 60 ? "less than a minute left" : `about ${duration(seconds)} left`;
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** Before or after now, in words: "just now", "3 minutes ago", "in 2 hours". */
export function relative(at: Date, now: Date, locale = LOCALE): string {
  const seconds = Math.round((at.getTime() - now.getTime()) / 1000);
  const format = new Intl.RelativeTimeFormat(locale ?? "en", { numeric: "auto" });
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return seconds > 20 ? "in less than a minute" : "just now";
}

/** A date and time in the person's zone: 3 May 2026, 14:05. */
export function moment(at: Date, locale = LOCALE, timeZone?: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", timeZone }).format(at);
}

/** The same with weekday, seconds and zone, for a title. */
export function momentLong(at: Date, locale = LOCALE, timeZone?: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long", timeZone }).format(at);
}

/** A day alone: 3 May 2026. */
export function day(at: Date, locale = LOCALE, timeZone?: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone }).format(at);
}

/** A time alone: 14:05. */
export function timeOfDay(at: Date, locale = LOCALE, timeZone?: string): string {
  return new Intl.DateTimeFormat(locale, { timeStyle: "short", timeZone }).format(at);
}

/** At most two letters that stand for a name: "Google Meet" is GM, "fathom" is F. */
export function initials(name: string): string {
  const words = name.split(/[\s._@-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[1]] : [words[0]];
  return letters.map((word) => [...(word ?? "")][0] ?? "").join("").toUpperCase() || "?";
}

/** A number from 1 to `size`, always the same for the same text: which colour stands for whom. */
export function hue(text: string, size = 8): number {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return (sum % size) + 1;
}
