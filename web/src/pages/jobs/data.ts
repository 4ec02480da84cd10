// The imports and their calls as the page keeps them: read page by page, then changed in place by live events.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useEffectEvent, useRef } from "react";
import { api, data, type Job, type Shape } from "@/api/client";
import { useLive } from "@/api/events";
import { queryClient, useList, useSources, type Pages } from "@/api/queries";
import { isOver } from "@/lib/jobs";
import { reasonWords } from "@/lib/words";
import { usePlatformName } from "@/parts";
import { callsInto, jobIntoNarrowed, sameCall, type CallChange, type JobCall } from "./change";
import { fits, narrowed, queryOf, type JobFilters } from "./filters";
import { CALL_FILTERS, type CallFilter } from "./words";

/** The imports that are asked for, newest first, kept current. */
export function useJobs(filters: JobFilters) {
  const narrow = narrowed(filters);
  const key = ["jobs", filters];
  const list = useList<Job>(key, (cursor) => data(api.GET("/api/imports", { params: { query: { ...queryOf(filters), limit: 50, cursor: cursor ?? undefined } } })), true, true);
  useLive("job.progress", (job) => {
    if (!narrow) return; // events.ts has done it
    queryClient.setQueryData<Pages<Job>>(key, (pages) => (pages ? jobIntoNarrowed(pages, job, fits(job, filters)) : pages));
  });
  return list;
}

/** What is drawn for a job: files that were handed over are an upload, whatever is in them. */
export const platformOf = (job: Pick<Job, "job_type" | "source_app">): string => (job.job_type === "upload" ? "upload" : job.source_app || "generic");

/** The name of what a job reads from: the account's own name where it is connected, else the platform's. */
export function useJobSource(job: Pick<Job, "source_id" | "source_app" | "job_type">): { name: string; account: string | null } {
  const platform = usePlatformName(platformOf(job));
  const source = useSources().data?.find((each) => each.id === job.source_id);
  return { name: source?.display_name ?? platform, account: source?.account ?? null };
}

const callsKey = (id: string, filter: CallFilter | null) => ["job-calls", id, { filter }] as const;
const statusesOf = (filter: CallFilter | null) => CALL_FILTERS.find((each) => each.value === filter)?.statuses;

const FLUSH = 250;
const LOOK = 5000;

/** The calls of a job, kept current: what ended by events, what waits or is transcribed by looking at those few again. */
export function useJobCalls(job: Shape<"JobDetail"> | undefined, id: string, filter: CallFilter | null) {
  const statuses = statusesOf(filter);
  const list = useList<JobCall>(
    callsKey(id, filter),
    (cursor) =>
      data(api.GET("/api/imports/{job_id}/calls", { params: { path: { job_id: id }, query: { status: statuses && [...statuses], limit: 100, cursor: cursor ?? undefined } } })),
    job !== undefined,
    true,
  );

  const buffer = useRef<CallChange[]>([]);
  const timer = useRef(0);
  const write = (changes: readonly CallChange[]) => {
    for (const [key] of queryClient.getQueriesData<Pages<JobCall>>({ queryKey: ["job-calls", id] })) {
      const wanted = statusesOf((key[2] as { filter: CallFilter | null }).filter);
      queryClient.setQueryData<Pages<JobCall>>(key, (pages) =>
        pages?.pages ? callsInto(pages, changes, (call) => wanted?.includes(call.status) ?? true, new Date()) : pages,
      );
    }
  };
  const note = (change: CallChange) => {
    buffer.current = [...buffer.current.filter((each) => !sameCall(each, change)), change];
    timer.current ||= window.setTimeout(() => {
      timer.current = 0;
      write(buffer.current.splice(0));
    }, FLUSH);
  };
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const ended = { failed_import_id: null, next_retry_at: null, transcription: null };
  useLive("import.completed", (came) => {
    if (came.job_id !== id) return;
    note({ source_app: came.source_app, external_id: came.external_id, status: came.outcome, title: came.title, call_id: came.call_id, detail: null, ...ended });
  });
  useLive("import.skipped", (came) => {
    if (came.job_id === id) note({ source_app: came.source_app, external_id: came.external_id, status: "skipped", detail: reasonWords(came.reason), ...ended });
  });
  useLive("import.failed", (came) => {
    if (came.job_id !== id || !came.source_app || !came.external_id) return;
    note({ source_app: came.source_app, external_id: came.external_id, status: "failed", detail: came.message, transcription: null });
  });

  const over = job === undefined || isOver(job);
  const moving = useSome(id, ["pending", "waiting"], !over, LOOK);
  // Events do not say which failed import is whose.
  const failures = useSome(id, ["failed"], Boolean(job?.failed_calls), over ? false : 2 * LOOK);
  const writeLatest = useEffectEvent(write);
  useEffect(() => {
    if (moving) writeLatest(moving);
  }, [moving]);
  useEffect(() => {
    if (failures) writeLatest(failures);
  }, [failures]);
  return list;
}

/** The first few calls of a job in these states, looked at again every `every` milliseconds, and once more without. */
function useSome(id: string, status: JobCall["status"][], enabled: boolean, every: number | false): readonly JobCall[] | undefined {
  return useQuery({
    queryKey: ["job-some", id, status, every],
    enabled,
    refetchInterval: every,
    staleTime: 0,
    queryFn: async () => (await data(api.GET("/api/imports/{job_id}/calls", { params: { path: { job_id: id }, query: { status, limit: 200 } } }))).items,
  }).data;
}

/** Why calls of a job failed, one item a cause. Empty when none did. */
export function useCauses(job: Shape<"JobDetail"> | undefined) {
  return useQuery({
    queryKey: ["failed", "causes", job?.id, job !== undefined && isOver(job)],
    enabled: Boolean(job?.failed_calls),
    refetchInterval: job && !isOver(job) ? 2 * LOOK : false, // not with every call that fails
    queryFn: async () => {
      const answer = await data(api.GET("/api/failed-imports", { params: { query: { group: true, job_id: job?.id, limit: 20 } } }));
      return answer.items as Shape<"FailedGroup">[];
    },
  });
}
