// A replay in words: what it reads, what a dry run found, what came of it. Pure.
import type { Shape } from "@/api/client";
import { count, day, num } from "@/lib/format";
import { dayOf, shifted, startOf } from "../library/filters";

export type Replay = Shape<"Replay">;
export type ReplayCreate = Shape<"ReplayCreate">;

/** What the form holds. */
export interface Wanted {
  /** Days as YYYY-MM-DD; empty means open. */
  from: string;
  to: string;
  source: string;
  call: string;
}
export const NOTHING: Wanted = { from: "", to: "", source: "", call: "" };
const NAMES = ["from", "to", "source", "call"] as const;

export function wantedOf(address: URLSearchParams): Wanted {
  const found = { ...NOTHING };
  for (const name of NAMES) found[name] = (address.get(name) ?? "").trim();
  return found;
}

/** What the API is asked: days from their first moment to the end of the last. */
export function bodyOf(wanted: Wanted, dryRun: boolean, rate: number | null): ReplayCreate {
  return {
    from: wanted.from ? startOf(wanted.from).toISOString() : null,
    to: wanted.to ? startOf(shifted(wanted.to, 1)).toISOString() : null,
    source_app: wanted.source || null,
    external_id: wanted.call.trim() || null,
    dry_run: dryRun,
    rate,
  };
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** The form that leads to what a replay reads, to start it again for real. */
export function wantedFrom(replay: Pick<Replay, "selection">): Wanted {
  const { from, to, source_app, external_id } = replay.selection;
  return {
    from: text(from) ? dayOf(new Date(text(from))) : "",
    to: text(to) ? dayOf(new Date(+new Date(text(to)) - 1)) : "",
    source: text(source_app),
    call: text(external_id),
  };
}

/** The same selection, exactly. */
export function again(replay: Pick<Replay, "selection">, rate: number | null): ReplayCreate {
  const { from, to, source_app, external_id, topic } = replay.selection;
  const or = (value: unknown) => text(value) || null;
  return { from: or(from), to: or(to), source_app: or(source_app), external_id: or(external_id), topic: or(topic), dry_run: false, rate };
}

/** What a replay reads: "Calls of Zoom that arrived from May 3, 2026 to May 5, 2026". */
export function selectionWords(replay: Pick<Replay, "selection">, nameOf: (platform: string) => string): string {
  const { from, to, source, call } = wantedFrom(replay);
  const of = source ? ` of ${nameOf(source)}` : "";
  const when = from && to ? (from === to ? ` on ${shown(from)}` : ` from ${shown(from)} to ${shown(to)}`) : from ? ` since ${shown(from)}` : to ? ` until ${shown(to)}` : "";
  if (call) return `One call${of}${when}`;
  return `${of || when ? "Calls" : "All calls"}${of}${when ? ` that arrived${when}` : ""}`;
}
const shown = (each: string) => day(startOf(each));

const RUNNING: ReadonlySet<string> = new Set(["pending", "in_progress"]);
export const isRunning = (replay: Pick<Replay, "status">): boolean => RUNNING.has(replay.status);

/** What came of it, in one line. */
export function resultWords(replay: Replay): string {
  if (replay.status === "pending") return "About to start";
  if (replay.status === "in_progress") return replay.dry_run ? "Looking…" : "Importing…";
  if (replay.status === "cancelled") return "Cancelled";
  if (replay.dry_run && replay.report) {
    const { would_import, would_change, would_fail } = replay.report;
    const parts = [would_import && `${num(would_import)} would be imported`, would_change && `${num(would_change)} would change`, would_fail && `${num(would_fail)} would fail`].filter(Boolean);
    return parts.length ? parts.join(", ") : "Would change nothing";
  }
  if (replay.status === "failed" && !replay.total_calls) return "It did not work";
  const parts = [
    replay.imported_calls && `${count(replay.imported_calls, "call")} imported`,
    replay.updated_calls && `${replay.updated_calls} updated`,
    replay.failed_calls && `${replay.failed_calls} failed`,
  ].filter(Boolean);
  return parts.length ? parts.join(", ") : "Nothing had changed";
}

/** Whether starting for real would do anything. */
export function worthIt(replay: Replay): boolean {
  const { report } = replay;
  return report !== null && report.would_import + report.would_change > 0;
}

const FIELDS: Record<string, string> = {
  title: "Title",
  participants: "People",
  recording_start_time: "When",
  duration_seconds: "Length",
  duration_ms: "Length",
  full_transcript: "Transcript",
  segments: "Transcript by speaker",
  original_transcript: "Original transcript",
  metadata_quality: "Completeness of details",
  source_metadata: "Details of the source",
  media: "Recording",
  media_url: "Recording",
  language: "Language",
};
/** A field of a call in words. */
export const fieldWords = (name: string): string => FIELDS[name] ?? (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ");

/** A value of a field as text. */
export function valueWords(value: unknown): string {
  if (value === null || value === undefined || value === "") return "nothing";
  if (Array.isArray(value) && value.length && value.every(isPerson)) return value.map((each) => each.name ?? each.email ?? each.phone).join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

function isPerson(value: unknown): value is { name?: string; email?: string; phone?: string } {
  if (typeof value !== "object" || value === null) return false;
  const { name, email, phone } = value as Record<string, unknown>;
  return [name, email, phone].some((each) => typeof each === "string");
}
