// What the Hub knows of the present: running jobs, kept current by events; sources, of which only the touched one is read again.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { api, data, type Job, type Shape, type Source } from "@/api/client";
import { useLive } from "@/api/events";
import { followJob } from "@/api/follow";
import { queryClient } from "@/api/queries";
import { isLate, isOver, RUNNING } from "@/lib/jobs";
import { oneMore, runningWith, withSource } from "./change";

const JOBS = ["hub", "running"] as const;
export const SOURCES = ["sources"] as const;
const LOOK_AGAIN = 60_000;
const NONE: readonly Job[] = [];

/** The jobs that events told of, and whether they go on: an answer that was asked for earlier must not undo that. */
const told = new Map<string, boolean>();
const goesOn = (job: Job) => !isOver(job) && !isLate(job);

/** The jobs that are not over, newest first. Never undefined, so that cards need no second face. */
export function useRunning(): readonly Job[] {
  const found = useQuery<readonly Job[]>({
    queryKey: JOBS,
    refetchInterval: ({ state }) => (state.data?.length ? LOOK_AGAIN : false),
    queryFn: async () => (await data(api.GET("/api/imports", { params: { query: { status: [...RUNNING], limit: 100 } } }))).items.filter((each) => goesOn(each) && told.get(each.id) !== false),
  });
  return found.data ?? NONE;
}

export function putJob(job: Job): void {
  queryClient.setQueryData<readonly Job[]>(JOBS, (old) => runningWith(old ?? NONE, job));
}

export function putSource(source: Source): void {
  queryClient.setQueryData<Source[]>(SOURCES, (old) => (old ? withSource(old, source) : old));
}

export function changeSource(id: string, change: Partial<Source>): void {
  queryClient.setQueryData<Source[]>(SOURCES, (old) => old?.map((each) => (each.id === id ? { ...each, ...change } : each)));
}

export const findSource = (id: string): Source | undefined => queryClient.getQueryData<Source[]>(SOURCES)?.find((each) => each.id === id);

/** One source as it is now. Nothing happens when it is gone. */
export async function rereadSource(id: string): Promise<void> {
  try {
    const source = await data(api.GET("/api/sources/{source_id}", { params: { path: { source_id: id } } }));
    putSource(source);
    if (source.state === "error") await Promise.all([JOBS, ["job"]].map((queryKey) => queryClient.invalidateQueries({ queryKey }))); // its imports have ended with it
  } catch {
    // It is gone, or the API is away for a moment: the next event or look finds out.
  }
}

/** A job that was just begun, before its first event: on the card at once, told at its end. */
export async function jobBegan(id: string, name: string): Promise<void> {
  followJob(id, name);
  try {
    const job = await data(api.GET("/api/imports/{job_id}", { params: { path: { job_id: id } } }));
    queryClient.setQueryData(["job", id], (old: Shape<"JobDetail"> | undefined) => old ?? job);
    if (!told.has(id)) putJob(job);
  } catch {
    // Events bring it.
  }
}

/** Keep running jobs and sources current while the Hub is open. */
export function useHubLive(): void {
  const seen = useRef(new Set<string>());
  const owner = useRef(new Map<string, string>());
  const timers = useRef(new Map<string, number>());
  const soon = (id: string) => {
    if (timers.current.has(id)) return;
    timers.current.set(id, window.setTimeout(() => {
      timers.current.delete(id);
      void rereadSource(id);
    }, 250));
  };
  useEffect(() => {
    const all = timers.current;
    return () => all.forEach((each) => window.clearTimeout(each));
  }, []);
  useLive("job.progress", (job) => {
    told.set(job.id, goesOn(job));
    putJob(job);
    if (!job.source_id) return;
    owner.current.set(job.id, job.source_id);
    const isNew = !seen.current.has(job.id);
    seen.current.add(job.id);
    if (!goesOn(job) || isNew) soon(job.source_id);
  });
  useLive("import.completed", (came) => {
    queryClient.setQueryData(["hub", "any-call"], true);
    if (came.outcome !== "imported") return;
    const from = came.job_id ? (owner.current.get(came.job_id) ?? null) : null;
    if (came.job_id && !from) return; // its job's end brings the number
    queryClient.setQueryData<Source[]>(SOURCES, (old) => (old && oneMore(old, from, came.source_app)) ?? old);
  });
}

/** Whether there is any call in the library; undefined while nobody knows. */
export function useAnyCall(enabled: boolean): boolean | undefined {
  return useQuery({
    queryKey: ["hub", "any-call"],
    enabled,
    staleTime: 0,
    queryFn: async () => (await data(api.GET("/api/calls", { params: { query: { limit: 1 } } }))).items.length > 0,
  }).data;
}

/** What the plan allows this month. */
export function useQuota(): Shape<"QuotaView"> | undefined {
  return useQuery({ queryKey: ["usage", "quota"], staleTime: 60_000, queryFn: async () => (await data(api.GET("/api/usage"))).quota }).data;
}

/** The account that was just connected (the address says which): its first sync is told at its end, even if it was quick. */
export function useConnected(id: string | null, source: Source | undefined): void {
  const name = source?.display_name;
  useEffect(() => {
    if (!id || !name) return;
    void (async () => {
      const found = await data(api.GET("/api/imports", { params: { query: { source_id: id, limit: 1 } } })).catch(() => null);
      const job = found?.items[0];
      if (job && Date.now() - Date.parse(job.created_at) < 10 * 60_000) await jobBegan(job.id, name);
    })();
  }, [id, name]);
}
