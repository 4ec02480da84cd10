// Failed imports as the page keeps them: read page by page, changed in place by live events and by what one does.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, asProblem, data, type Shape } from "@/api/client";
import { useLive } from "@/api/events";
import { queryClient, useList, type Pages } from "@/api/queries";
import { failedAgainIn, resolvedIn, withStatus } from "./change";
import { queryOf, type Failed, type FailedFilters } from "./filters";

export type Group = Shape<"FailedGroup">;
export type Detail = Shape<"FailedImportDetail">;

const LISTS = ["failed", "list"] as const;

/** One item a call, latest first. */
export function useFailedList(filters: FailedFilters, enabled: boolean) {
  return useList<Failed>(
    [...LISTS, filters],
    async (cursor) => {
      const query = { ...queryOf(filters), limit: 60, cursor: cursor ?? undefined };
      return (await data(api.GET("/api/failed-imports", { params: { query } }))) as { items: Failed[]; next_cursor?: string | null };
    },
    enabled,
    true,
  );
}

/** One item a cause, the largest first. */
export function useGroups(filters: FailedFilters, enabled: boolean) {
  return useList<Group>(
    ["failed", "groups", filters],
    async (cursor) => {
      const query = { ...queryOf(filters), group: true, limit: 50, cursor: cursor ?? undefined };
      return (await data(api.GET("/api/failed-imports", { params: { query } }))) as { items: Group[]; next_cursor?: string | null };
    },
    enabled,
    true,
  );
}

/** The reasons there are, for the filter. */
export function useReasons(): string[] {
  const found = useQuery({
    queryKey: ["failed", "reasons"],
    queryFn: async () => (await data(api.GET("/api/failed-imports", { params: { query: { group: true, limit: 200, status: ["open", "retrying", "parked", "resolved", "discarded"] } } }))).items as Group[],
  }).data;
  return [...new Set(found?.map((each) => each.reason))].sort();
}

function change(by: (pages: Pages<Failed>) => Pages<Failed>): void {
  for (const [key, pages] of queryClient.getQueriesData<Pages<Failed>>({ queryKey: LISTS })) {
    if (pages?.pages) queryClient.setQueryData(key, by(pages));
  }
}

/** How far a retry of many is, looked at every second until it is over. */
export function useBulk(id: string | null) {
  return useQuery({
    queryKey: ["failed-retry", id],
    enabled: id !== null,
    placeholderData: undefined,
    staleTime: 0,
    refetchInterval: ({ state }) => (state.data?.finished_at || (state.error && !asProblem(state.error).passing) ? false : 1000),
    queryFn: () => data(api.GET("/api/failed-imports/retries/{bulk_retry_id}", { params: { path: { bulk_retry_id: id ?? "" } } })),
  });
}

/** These were retried or discarded: say so wherever they stand. */
export function marked(ids: readonly string[], status: Failed["status"]): void {
  const meant = new Set(ids);
  change((pages) => withStatus(pages, meant, status));
  for (const id of ids) queryClient.setQueryData<Detail>(["failed", "one", id], (old) => (old ? { ...old, status, next_retry_at: null } : old));
  void queryClient.invalidateQueries({ queryKey: ["failed", "count"] });
}

export const reread = (): Promise<void> => queryClient.invalidateQueries({ queryKey: ["failed"] });

/** Keeps what is shown current; answers how many failed that no list shows yet, and how to show them. `retrying`: a retry of
 * many runs, whose own progress tells what fails again. */
export function useFailedLive(retrying: boolean): { fresh: number; show: () => void } {
  const [fresh, setFresh] = useState(0);
  useLive("import.completed", (came) => change((pages) => resolvedIn(pages, came.event_id, came.imported_at)));
  useLive("import.failed", (failure) => {
    let known = false;
    change((pages) => {
      const after = failedAgainIn(pages, failure, new Date().toISOString());
      known ||= after !== null;
      return after ?? pages;
    });
    if (!known && !retrying) setFresh((many) => many + 1);
  });
  const show = () => {
    setFresh(0);
    void reread();
  };
  return { fresh, show };
}

export const retryOne = (id: string) => api.POST("/api/failed-imports/{failed_import_id}/retry", { params: { path: { failed_import_id: id } } });
export const discardOne = (id: string) => api.POST("/api/failed-imports/{failed_import_id}/discard", { params: { path: { failed_import_id: id } } });
