// Replays as the page keeps them. The open one is asked for while it runs, and its row in the list changes with it.
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, data } from "@/api/client";
import { patchPages } from "@/api/live";
import { queryClient, useList, type Pages } from "@/api/queries";
import { isRunning, type Replay, type ReplayCreate } from "./words";

const LIST = ["replays"] as const;
const EVERY = 1000;

export const useReplays = () => useList<Replay>(LIST, (cursor) => data(api.GET("/api/replays", { params: { query: { limit: 20, cursor: cursor ?? undefined } } })));

export function useReplay(id: string | null) {
  const found = useQuery<Replay>({
    queryKey: ["replay", id],
    enabled: id !== null,
    placeholderData: undefined,
    refetchInterval: ({ state }) => (state.data && isRunning(state.data) ? EVERY : false),
    queryFn: () => data(api.GET("/api/replays/{replay_id}", { params: { path: { replay_id: id ?? "" } } })),
  });
  const replay = found.data;
  useEffect(() => {
    if (replay) intoList(replay);
  }, [replay]);
  return found;
}

function intoList(replay: Replay): void {
  queryClient.setQueryData<Pages<Replay>>(LIST, (old) => old && patchPages(old, (each) => each.id === replay.id, () => replay));
}

/** Start one. The same `key` starts it once, however often it is sent. */
export async function startReplay(body: ReplayCreate, key: string): Promise<Replay> {
  const replay = await data(api.POST("/api/replays", { body, params: { header: { "idempotency-key": key } } }));
  queryClient.setQueryData(["replay", replay.id], replay);
  void queryClient.invalidateQueries({ queryKey: LIST });
  return replay;
}

export async function cancelReplay(id: string): Promise<Replay> {
  const replay = await data(api.DELETE("/api/replays/{replay_id}", { params: { path: { replay_id: id } } }));
  queryClient.setQueryData(["replay", id], replay);
  return replay;
}
