// The life of a file that is uploaded, as pure steps: waiting, sent, checked, on its way, and one of five ends.
import type { ApiProblem, Shape } from "@/api/client";
import type { LiveEvents } from "@/api/events";
import { reasonWords } from "@/lib/words";

export type State = "waiting" | "sending" | "checking" | "paused" | "working" | "done" | "duplicate" | "failed" | "refused" | "stopped" | "cancelled";

export interface Upload {
  /** Also its Idempotency-Key. */
  id: string;
  name: string;
  size: number;
  state: State;
  sent: number;
  tries: number;
  /** The sentence beside it: why it was refused or failed, or what is done with it right now. */
  words: string | null;
  jobId: string | null;
  externalId: string | null;
  callId: string | null;
  failedId: string | null;
  /** Parts of its transcription, once that runs. */
  parts: { done: number; total: number } | null;
}

const ENDED: ReadonlySet<State> = new Set(["done", "duplicate", "failed", "refused", "stopped", "cancelled"]);
/** Nothing more happens by itself. */
export const ended = (each: Upload): boolean => ENDED.has(each.state);
/** It would be lost if the page were left. */
export const unsent = (each: Upload): boolean => each.state === "waiting" || each.state === "sending" || each.state === "checking" || each.state === "paused";

export const MAX_TRIES = 6;

/** After the API took the request: on its way, or refused with its reason. */
export function answered(each: Upload, answer: Shape<"UploadAnswer">): Upload {
  const file = answer.calls[0];
  if (!file || file.status === "refused") return { ...each, state: "refused", words: file?.message ?? "This file cannot be imported." };
  return { ...each, state: "working", sent: each.size, words: null, jobId: answer.job_id, externalId: file.external_id ?? null };
}

/** After the request failed. `paused` tries again by itself; `stopped` waits for the person. */
export function refusedBy(each: Upload, problem: ApiProblem): Upload {
  if (problem.reason === "cancelled") return { ...each, state: "cancelled", sent: 0, words: "Cancelled." };
  const again = problem.passing || problem.reason === "still_running" || problem.status === 429;
  if (again && each.tries < MAX_TRIES) return { ...each, state: "paused", sent: 0, words: problem.status === 0 ? "The connection was lost. This goes on by itself." : "callstream has trouble right now. This goes on by itself." };
  const calls = Array.isArray(problem.body.calls) ? (problem.body.calls as { message?: string }[]) : [];
  const mendable = again || problem.status === 401 || problem.status === 402 || problem.status >= 500 || problem.status === 0;
  return { ...each, state: mendable ? "stopped" : "refused", sent: 0, words: calls[0]?.message ?? problem.sentence };
}

/** How long until the next try, in milliseconds. */
export const pauseOf = (tries: number): number => Math.min(30_000, 1500 * 2 ** (tries - 1));

/** As the job's own list tells it. */
export function looked(each: Upload, call: Shape<"JobCall">): Upload {
  const found = { ...each, callId: call.call_id ?? each.callId, failedId: call.failed_import_id ?? each.failedId, parts: null };
  if (call.status === "imported" || call.status === "updated") return { ...found, state: "done", words: null };
  if (call.status === "skipped") return { ...found, state: "duplicate", words: null };
  if (call.status === "failed" || call.status === "discarded") return { ...found, state: "failed", words: call.detail ?? "It could not be imported." };
  if (call.status === "refused") return { ...found, state: "refused", words: call.detail ?? "It was refused." };
  const spoken = call.transcription;
  const parts = spoken?.state === "running" && spoken.chunks_total && spoken.chunks_total > 1 ? { done: spoken.chunks_done, total: spoken.chunks_total } : null;
  return { ...found, state: "working", parts, words: working(call, parts) };
}

function working(call: Shape<"JobCall">, parts: Upload["parts"]): string {
  if (parts) return `Transcribing: ${parts.done} of ${parts.total} parts`;
  if (call.transcription?.state === "running") return "Transcribing…";
  if (call.transcription?.state === "waiting") return "Waits to be transcribed";
  if (call.status === "waiting" && call.detail) return call.detail;
  return "On its way into your library…";
}

type End = Pick<LiveEvents["import.completed"], "call_id"> | { reason: string } | { reason: string; message: string };

/** As a live event tells it. */
export function heard(each: Upload, came: End): Upload {
  if ("call_id" in came) return { ...each, state: "done", callId: came.call_id, words: null, parts: null };
  if ("message" in came) return { ...each, state: "failed", words: came.message || `${reasonWords(came.reason)}.`, parts: null };
  if (came.reason === "erased") return { ...each, state: "refused", words: "This call was erased before, and stays erased.", parts: null };
  return { ...each, state: "duplicate", words: null, parts: null };
}

export interface Summary {
  total: number;
  unsent: number;
  working: number;
  done: number;
  duplicate: number;
  bad: number;
  bytes: number;
  sent: number;
}

export function summary(uploads: readonly Upload[]): Summary {
  const live = uploads.filter((each) => each.state !== "cancelled");
  const with_ = (...states: State[]) => live.filter((each) => states.includes(each.state)).length;
  const sendable = live.filter((each) => each.state !== "refused");
  return {
    total: live.length,
    unsent: live.filter(unsent).length,
    working: with_("working"),
    done: with_("done"),
    duplicate: with_("duplicate"),
    bad: with_("failed", "refused", "stopped"),
    bytes: sendable.reduce((sum, each) => sum + each.size, 0),
    sent: sendable.reduce((sum, each) => sum + Math.min(each.sent, each.size), 0),
  };
}
