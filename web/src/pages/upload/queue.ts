// The uploads of this browser's tab. They go on while the person looks at other pages: three files at a time, each a request
// of its own, so that a bad one never holds up the others. What was accepted is followed until it is in the library.
import { useSyncExternalStore } from "react";
import { api, asProblem, data, type ApiProblem } from "@/api/client";
import { queryClient } from "@/api/queries";
import { count } from "@/lib/format";
import { newKey } from "@/lib/keys";
import { toast } from "@/parts";
import { refusal } from "./formats";
import { send, type Details, type Sending } from "./send";
import { answered, ended, looked, pauseOf, refusedBy, unsent, type Upload } from "./states";

const AT_ONCE = 3;
const LOOK_EVERY = 2500;
const LOOKS_AT_ONCE = 4;
const KEY = "callstream.uploads";
const KEPT = 200;

interface Held {
  file: File;
  details: Details;
  sending?: Sending;
  timer?: number;
}
const held = new Map<string, Held>();
const lookedAt = new Map<string, number>();
const told = new Set<string>();
const watchers = new Set<() => void>();
let uploads: readonly Upload[] = restore();
let looking = 0;
if (uploads.some((each) => each.state === "working")) follow();

function restore(): readonly Upload[] {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as Upload[];
  } catch {
    return [];
  }
}

function set(next: readonly Upload[]): void {
  const busy = uploads.some((each) => !ended(each));
  const asks = next.some(unsent);
  if (asks !== uploads.some(unsent)) (asks ? window.addEventListener : window.removeEventListener)("beforeunload", ask);
  const ends = next.filter((each) => !unsent(each)).length !== uploads.filter((each) => !unsent(each)).length || next.some((each, at) => each.state !== uploads[at]?.state);
  uploads = next;
  if (ends) keep();
  watchers.forEach((each) => each());
  if (busy && next.length && next.every(ended)) allEnded();
}

function keep(): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(uploads.filter((each) => !unsent(each)).slice(-KEPT)));
  } catch {
    // A reload forgets them here, then; Jobs has them all the same.
  }
}

function ask(event: BeforeUnloadEvent): void {
  event.preventDefault();
}

function allEnded(): void {
  const fresh = uploads.filter((each) => each.state === "done" && !told.has(each.id));
  fresh.forEach((each) => told.add(each.id));
  const done = fresh.length;
  if (done) toast.success(`${count(done, "file")} imported`, { id: "uploads" });
}

/** Change one upload. */
export function change(id: string, step: (upload: Upload) => Upload): void {
  set(uploads.map((each) => (each.id === id ? step(each) : each)));
}

/** Change those that were accepted under this job and name. */
export function changeCall(jobId: string | null, externalId: string | null, step: (upload: Upload) => Upload): void {
  const meant = uploads.find((each) => each.jobId !== null && each.jobId === jobId && each.externalId === externalId && each.state === "working");
  if (meant) change(meant.id, step);
}

/** Begin to upload. Those that cannot be imported say so at once, beside the others. */
export function addFiles(files: readonly File[], details: Details = {}): void {
  const added = files.map((file): Upload => {
    const id = newKey();
    const refused = refusal(file);
    if (!refused) held.set(id, { file, details });
    return {
      id, name: file.name, size: file.size, state: refused ? "refused" : "waiting", sent: 0, tries: 0, words: refused, jobId: null, externalId: null, callId: null, failedId: null, parts: null,
    };
  });
  set([...added, ...uploads]);
  pump();
}

function pump(): void {
  let free = AT_ONCE - uploads.filter((each) => each.state === "sending" || each.state === "checking").length;
  const waiting = new Set(uploads.filter((each) => each.state === "waiting").map((each) => each.id));
  for (const id of held.keys()) {
    if (free <= 0) break;
    if (!waiting.has(id)) continue; // in the order they were chosen
    free -= 1;
    void start(id);
  }
}

async function start(id: string): Promise<void> {
  const mine = held.get(id);
  if (!mine) return;
  change(id, (each) => ({ ...each, state: "sending", sent: 0, tries: each.tries + 1, words: null }));
  mine.sending = send(mine.file, id, mine.details, (sent) =>
    change(id, (each) => (each.state === "sending" || each.state === "checking" ? { ...each, sent, state: sent >= each.size ? "checking" : "sending" } : each)),
  );
  try {
    const answer = await mine.sending.done;
    change(id, (each) => answered(each, answer));
    held.delete(id);
    follow();
  } catch (error) {
    failed(id, mine, asProblem(error));
  }
  pump();
}

function failed(id: string, mine: Held, problem: ApiProblem): void {
  change(id, (each) => refusedBy(each, problem));
  const now = uploads.find((each) => each.id === id);
  if (now?.state === "paused") mine.timer = window.setTimeout(() => retry(id), pauseOf(now.tries));
  if (now?.state === "refused") held.delete(id);
  if (problem.status === 401) void queryClient.invalidateQueries({ queryKey: ["session"] });
  if (problem.status === 402) {
    // The month is used up: the others would only be sent to hear the same.
    set(uploads.map((each) => (each.state === "waiting" ? { ...each, state: "stopped", words: problem.sentence } : each)));
    void queryClient.invalidateQueries({ queryKey: ["usage"] });
  }
}

function retry(id: string): void {
  window.clearTimeout(held.get(id)?.timer);
  change(id, (each) => (each.state === "paused" ? { ...each, state: "waiting", words: null } : each));
  pump();
}

window.addEventListener("online", () => uploads.filter((each) => each.state === "paused").forEach((each) => retry(each.id)));

/** Stop a file that was not accepted yet. */
export function cancel(id: string): void {
  const mine = held.get(id);
  window.clearTimeout(mine?.timer);
  const now = uploads.find((each) => each.id === id);
  if (now?.state === "sending" || now?.state === "checking") mine?.sending?.cancel();
  else change(id, (each) => ({ ...each, state: "cancelled", words: "Cancelled." }));
}

/** Try again: send it again under its key, or, where it failed on its way, have its import tried again. */
export async function again(id: string): Promise<void> {
  const now = uploads.find((each) => each.id === id);
  if (!now) return;
  if (held.has(id)) {
    change(id, (each) => ({ ...each, state: "waiting", tries: 0, words: null }));
    pump();
  } else if (now.failedId) {
    try {
      await data(api.POST("/api/failed-imports/{failed_import_id}/retry", { params: { path: { failed_import_id: now.failedId } } }));
      change(id, (each) => ({ ...each, state: "working", words: "Trying again…", failedId: null }));
      follow();
    } catch (error) {
      toast.problem(`${now.name} could not be tried again`, error);
    }
  }
}

/** Whether "Try again" can do anything. */
export const canRetry = (each: Upload): boolean => held.has(each.id) || (each.state === "failed" && each.failedId !== null);

/** Put away what has come to an end. */
export function clearEnded(): void {
  uploads.filter(ended).forEach((each) => held.delete(each.id));
  set(uploads.filter((each) => !ended(each)));
}

function follow(): void {
  looking ||= window.setTimeout(() => void look(), LOOK_EVERY);
}

/** Ends that are known but for where they lead: looked at once more. */
const lacksLink = (each: Upload): boolean => each.jobId !== null && ((each.state === "duplicate" && !each.callId) || (each.state === "failed" && !each.failedId)) && (lookedAt.get(each.id) ?? 0) < 1e15;

async function look(): Promise<void> {
  const due = uploads.filter((each) => each.state === "working" || lacksLink(each)).sort((a, b) => (lookedAt.get(a.id) ?? 0) - (lookedAt.get(b.id) ?? 0));
  await Promise.all(due.slice(0, LOOKS_AT_ONCE).map(async (each) => {
    try {
      const calls = await data(api.GET("/api/imports/{job_id}/calls", { params: { path: { job_id: each.jobId ?? "" }, query: { limit: 5 } } }));
      const call = calls.items.find((one) => one.external_id === each.externalId);
      lookedAt.set(each.id, ended(each) ? 1e16 : Date.now());
      if (call) change(each.id, (now) => looked(now, call));
    } catch {
      lookedAt.set(each.id, Date.now()); // away for a moment: the next look
    }
  }));
  looking = 0;
  if (uploads.some((each) => each.state === "working" || lacksLink(each))) follow();
}

export function useUploads(): readonly Upload[] {
  return useSyncExternalStore(
    (changed) => {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    () => uploads,
  );
}
