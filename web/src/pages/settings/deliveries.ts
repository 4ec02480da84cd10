// Outgoing webhooks and what they sent, as the page keeps them: read once, then the newest are looked at again while they are shown.
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, data, type Shape } from "@/api/client";
import { patchPages } from "@/api/live";
import { queryClient, useList, type Pages } from "@/api/queries";

export type Subscription = Shape<"Subscription">;
export type Delivery = Shape<"Delivery">;
const LIST = ["settings", "subscriptions"] as const;
const LOOK = 5000;
const NEWEST = 25;

/** All of them; a workspace has twenty at most. */
export function useSubscriptions() {
  return useQuery({
    queryKey: LIST,
    refetchInterval: 10_000,
    queryFn: async () => (await data(api.GET("/api/webhook-subscriptions", { params: { query: { limit: 50 } } }))).items,
  });
}

export function putSubscription(subscription: Subscription): void {
  queryClient.setQueryData<Subscription[]>(LIST, (old) =>
    old?.some((each) => each.id === subscription.id) ? old.map((each) => (each.id === subscription.id ? subscription : each)) : old && [subscription, ...old],
  );
}

/** What was sent is counted anew. */
export const recount = () => queryClient.invalidateQueries({ queryKey: LIST });

export function dropSubscription(id: string): void {
  queryClient.setQueryData<Subscription[]>(LIST, (old) => old?.filter((each) => each.id !== id));
}

const listKey = (id: string, state: Delivery["status"] | null) => ["settings", "deliveries", id, { state }] as const;
const fetchPage = (id: string, state: Delivery["status"] | null, limit: number, cursor: string | null) =>
  data(api.GET("/api/webhook-subscriptions/{subscription_id}/deliveries", { params: { path: { subscription_id: id }, query: { status: state ?? undefined, limit, cursor: cursor ?? undefined } } }));

/** What was sent and what waits to be, newest first, kept current while it is shown. */
export function useDeliveries(id: string, state: Delivery["status"] | null) {
  const list = useList<Delivery>(listKey(id, state), (cursor) => fetchPage(id, state, 50, cursor), true, true);
  const newest = useQuery({
    queryKey: ["settings", "deliveries-newest", id, state],
    enabled: list.isSuccess,
    placeholderData: undefined,
    staleTime: 0,
    refetchInterval: LOOK,
    queryFn: async () => (await fetchPage(id, state, NEWEST, null)).items,
  }).data;
  useEffect(() => {
    if (!newest) return;
    const known = queryClient.getQueryData<Pages<Delivery>>(listKey(id, state))?.pages[0]?.items;
    const gap = newest.length === NEWEST && known?.length && !known.some((each) => newest.some((other) => other.id === each.id));
    if (gap) void queryClient.invalidateQueries({ queryKey: listKey(id, state) }); // more came than were looked at
    else queryClient.setQueryData<Pages<Delivery>>(listKey(id, state), (pages) => (pages ? withNewest(pages, newest) : pages));
  }, [newest, id, state]);
  return list;
}

/** `pages` with the newest deliveries as they are now: known ones in their place, new ones on top. */
export function withNewest(pages: Pages<Delivery>, newest: readonly Delivery[]): Pages<Delivery> {
  const known = new Set(pages.pages.flatMap((page) => page.items.map((each) => each.id)));
  const now = new Map(newest.map((each) => [each.id, each]));
  const changed = patchPages(pages, (each) => now.has(each.id), (each) => now.get(each.id) ?? each);
  const top = changed.pages[0]?.items[0];
  const fresh = newest.filter((each) => !known.has(each.id) && (!top || each.created_at >= top.created_at));
  const [first, ...rest] = changed.pages;
  return fresh.length && first ? { ...changed, pages: [{ ...first, items: [...fresh, ...first.items] }, ...rest] } : changed;
}

/** One delivery that was just sent or resent, into every list that shows it. */
export function putDelivery(id: string, delivery: Delivery): void {
  for (const [key, pages] of queryClient.getQueriesData<Pages<Delivery>>({ queryKey: ["settings", "deliveries", id] })) {
    const { state } = key[3] as { state: Delivery["status"] | null };
    if (pages?.pages) queryClient.setQueryData(key, !state || state === delivery.status ? withNewest(pages, [delivery]) : patchPages(pages, (each) => each.id === delivery.id, () => delivery));
  }
}
