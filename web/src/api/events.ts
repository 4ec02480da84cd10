// One stream of live events for the whole page. It resumes where it broke off, tries again by itself, and writes jobs into
// the query cache in place; pages listen with `useLive`.
import { useEffect, useEffectEvent, useSyncExternalStore } from "react";
import type { Job } from "./client";
import { backoff, jobInto, unfiltered } from "./live";
import { queryClient, type Pages } from "./queries";

interface About {
  event_id: string;
  source_app: string;
  external_id: string;
  job_id: string | null;
}
export interface LiveEvents {
  "job.progress": Job;
  "import.completed": About & {
    outcome: "imported" | "updated";
    call_id: string;
    title: string;
    recording_start_time: string | null;
    imported_at: string;
  };
  "import.skipped": About & { reason: string };
  "import.failed": {
    event_id: string | null;
    source_app: string | null;
    external_id: string | null;
    job_id: string | null;
    stage: string;
    reason: string;
    message: string;
  };
  reset: Record<string, never>;
}
type Name = keyof LiveEvents;
const NAMES: readonly Name[] = ["job.progress", "import.completed", "import.skipped", "import.failed", "reset"];

/** `lost` is said only after a few seconds: short breaks are nobody's business. */
export type Connection = "off" | "connecting" | "open" | "lost";
const PATIENCE = 3000;

const emitter = new EventTarget();
const watchers = new Set<() => void>();
let connection: Connection = "off";
let stream: EventSource | null = null;
let lastId = "";
let tries = 0;
let opened = false;
let retryTimer = 0;
let lostTimer = 0;

function say(next: Connection): void {
  if (next === connection) return;
  connection = next;
  watchers.forEach((each) => each());
}

function trouble(): void {
  if (connection === "open") say("connecting");
  lostTimer ||= window.setTimeout(() => say("lost"), PATIENCE);
}

function connect(): void {
  window.clearTimeout(retryTimer);
  stream?.close();
  const current = new EventSource(lastId ? `/api/events?last_event_id=${encodeURIComponent(lastId)}` : "/api/events");
  stream = current;
  if (connection !== "lost") say("connecting");
  current.onopen = () => {
    window.clearTimeout(lostTimer);
    lostTimer = 0;
    // Without an id to resume from, what happened in between is unknown: read again what is shown.
    if (opened && !lastId) rereadAll();
    else if (tries) void queryClient.invalidateQueries({ predicate: (query) => query.state.status === "error" });
    opened = true;
    tries = 0;
    say("open");
  };
  current.onerror = () => {
    if (current !== stream) return;
    trouble();
    if (current.readyState !== EventSource.CLOSED) return; // the browser tries again itself
    if (tries === 0) void queryClient.invalidateQueries({ queryKey: ["session"] }); // perhaps signed out elsewhere
    retryTimer = window.setTimeout(connect, backoff(tries++, Math.random()));
  };
  for (const name of NAMES) current.addEventListener(name, (event) => receive(name, event as MessageEvent<string>));
}

function receive(name: Name, event: MessageEvent<string>): void {
  if (event.lastEventId) lastId = event.lastEventId;
  const detail = JSON.parse(event.data || "{}") as LiveEvents[Name];
  if (name === "job.progress") writeJob(detail as Job);
  if (name === "reset") rereadAll();
  if (name === "import.failed") recount();
  emitter.dispatchEvent(new CustomEvent(name, { detail }));
}

/** Put `job` into ["job", id] and every list ["jobs", …] that shows it. Pages call it with the answers of mutations too. */
export function writeJob(job: Job): void {
  queryClient.setQueryData<Job>(["job", job.id], (old) => (old ? { ...old, ...job } : old));
  for (const [key, pages] of queryClient.getQueriesData<Pages<Job>>({ queryKey: ["jobs"] })) {
    if (pages?.pages) queryClient.setQueryData(key, jobInto(pages, job, unfiltered(key)));
  }
}

let rereadAt = 0;
let rereadTimer = 0;
/** Read again what is shown: at once, or as soon as 30 s have passed since the last time, so that no break makes a storm. */
function rereadAll(): void {
  const wait = Math.max(0, rereadAt + 30_000 - Date.now());
  rereadTimer ||= window.setTimeout(() => {
    rereadTimer = 0;
    rereadAt = Date.now();
    void queryClient.invalidateQueries();
  }, wait);
}

let recountTimer = 0;
function recount(): void {
  recountTimer ||= window.setTimeout(() => {
    recountTimer = 0;
    void queryClient.invalidateQueries({ queryKey: ["failed", "count"] });
  }, 2000);
}

/** Begin listening, once somebody is signed in; answers how to stop. */
export function listen(): () => void {
  // A stream that still looks open after the network was away may be dead: begin anew, from where it was.
  const now = () => connect();
  const seen = () => document.visibilityState === "visible" && stream?.readyState === EventSource.CLOSED && connect();
  connect();
  window.addEventListener("online", now);
  window.addEventListener("offline", trouble);
  document.addEventListener("visibilitychange", seen);
  return () => {
    window.removeEventListener("online", now);
    window.removeEventListener("offline", trouble);
    document.removeEventListener("visibilitychange", seen);
    window.clearTimeout(retryTimer);
    window.clearTimeout(lostTimer);
    lostTimer = 0;
    stream?.close();
    stream = null;
    lastId = "";
    opened = false;
    tries = 0;
    say("off");
  };
}

/** Call `handler` with every event of `type` while the component is there. The handler may close over props and state. */
export function useLive<T extends Name>(type: T, handler: (event: LiveEvents[T]) => void): void {
  const latest = useEffectEvent(handler);
  useEffect(() => {
    const hear = (event: Event) => latest((event as CustomEvent<LiveEvents[T]>).detail);
    emitter.addEventListener(type, hear);
    return () => emitter.removeEventListener(type, hear);
  }, [type]);
}

/** Whether live events arrive. */
export function useConnection(): Connection {
  return useSyncExternalStore(
    (changed) => {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    () => connection,
  );
}
