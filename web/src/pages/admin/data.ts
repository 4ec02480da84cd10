// Imports on behalf of somebody, as the page keeps them: read page by page, then changed in place by live events.
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, data, type Job, type Shape } from "@/api/client";
import { useLive } from "@/api/events";
import { patchPages } from "@/api/live";
import { queryClient, useList, type Pages } from "@/api/queries";
import { isOver } from "@/lib/jobs";

export type AdminView = Shape<"AdminView">;
const LIST = ["admin", "imports"] as const;
const LOOK = 5000;

/** What a job says of itself, into the import that it is. */
export const withJob = (view: AdminView, job: Job): AdminView => ({
  ...view, status: job.status, total_calls: job.total_calls, processed_calls: job.processed_calls, failed_calls: job.failed_calls,
});

function write(id: string, change: (view: AdminView) => AdminView): void {
  queryClient.setQueryData<Pages<AdminView>>(LIST, (pages) => (pages ? patchPages(pages, (each) => each.job_id === id, change) : pages));
}

/** All of them, newest first, kept current. */
export function useAdminImports() {
  const list = useList<AdminView>(LIST, (cursor) => data(api.GET("/admin/imports", { params: { query: { limit: 50, cursor: cursor ?? undefined } } })), true, true);
  useLive("job.progress", (job) => write(job.id, (view) => withJob(view, job)));
  const ending = list.data?.pages.flatMap((page) => page.items).find((each) => isOver(each) && each.credential_kept)?.job_id ?? null;
  useAdminImport(ending); // over, and its credential about to be deleted: looked at until it is
  return list;
}

/** One of them with its job. Read again until its credential is deleted, which no event tells. */
export function useAdminImport(id: string | null) {
  const found = useQuery({
    queryKey: ["admin", "import", id],
    enabled: id !== null,
    placeholderData: undefined,
    staleTime: 0,
    refetchInterval: ({ state }) => (state.data?.credential_kept ? LOOK : false),
    queryFn: () => data(api.GET("/admin/imports/{job_id}", { params: { path: { job_id: id ?? "" } } })),
  });
  const one = found.data;
  useEffect(() => {
    if (!one) return;
    const { job, ...view } = one;
    write(view.job_id, () => view);
    // Whichever is newer stands: an event may have come between the question and its answer.
    queryClient.setQueryData<Shape<"JobDetail">>(["job", job.id], (old) => (old && old.processed_calls > job.processed_calls && !isOver(job) ? old : { ...old, ...job }));
  }, [one]);
  return found;
}
