// The query client and the few queries every page shares. Keys: ["session"], ["job", id], ["jobs", filters], ["sources"],
// ["platforms"], ["failed", …], ["calls", …]; events.ts writes into ["job", id] and ["jobs", …] by these names.
import { keepPreviousData, QueryClient, useInfiniteQuery, useQuery, type InfiniteData } from "@tanstack/react-query";
import { api, asProblem, data, rememberCsrf, whenSignedOut, type Session, type Shape } from "./client";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      gcTime: 10 * 60_000,
      retry: (tries, error) => tries < 4 && asProblem(error).passing,
      retryDelay: (tries) => Math.min(1000 * 2 ** tries, 15_000),
      placeholderData: keepPreviousData,
      refetchOnWindowFocus: true,
    },
    mutations: { retry: false },
  },
});

whenSignedOut(() => queryClient.setQueryData(["session"], null));

/** Who is signed in; null when nobody is. */
export function useSession() {
  return useQuery<Session | null>({
    queryKey: ["session"],
    staleTime: 5 * 60_000,
    queryFn: async () => {
      try {
        const session = await data(api.GET("/api/session"));
        rememberCsrf(session.csrf_token ?? null);
        return session;
      } catch (error) {
        if (asProblem(error).status === 401) return null;
        throw error;
      }
    },
  });
}

/** What callstream can connect to. Changes seldom. */
export function usePlatforms() {
  return useQuery({
    queryKey: ["platforms"],
    staleTime: 10 * 60_000,
    queryFn: async () => (await data(api.GET("/api/platforms"))).items,
  });
}

/** The connected accounts. */
export function useSources() {
  return useQuery({ queryKey: ["sources"], queryFn: async () => (await data(api.GET("/api/sources", { params: { query: { limit: 200 } } }))).items });
}

/** How many failed imports wait for somebody; null while nobody knows. */
export function useFailedCount(): number | null {
  const found = useQuery({
    queryKey: ["failed", "count"],
    queryFn: async () => {
      const groups = await data(api.GET("/api/failed-imports", { params: { query: { group: true } } }));
      return (groups.items as { count?: number }[]).reduce((sum, each) => sum + (each.count ?? 1), 0);
    },
  });
  return found.data ?? null;
}

/** A page of a list, as every list of the API answers. */
export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}
export type Pages<T> = InfiniteData<Page<T>, string | null>;

/** A list of many pages is not read again page for page only because one looks at it again: events keep it current. */
const short = (pages: Pages<unknown> | undefined): boolean => (pages?.pages.length ?? 0) <= 3;

/** A whole list, page by page: `useList(["calls", filters], (cursor) => data(api.GET(…)))`. Goes into DataTable's `query`.
 * `fresh`: read again whenever it is opened, for lists that no event keeps current while they are not shown. */
export function useList<T>(key: readonly unknown[], fetchPage: (cursor: string | null) => Promise<Page<T>>, enabled = true, fresh = false) {
  return useInfiniteQuery<Page<T>, Error, Pages<T>, readonly unknown[], string | null>({
    queryKey: key,
    enabled,
    refetchOnMount: (query) => short(query.state.data) && (fresh ? "always" : true),
    refetchOnWindowFocus: (query) => short(query.state.data),
    refetchOnReconnect: (query) => short(query.state.data),
    initialPageParam: null,
    queryFn: ({ pageParam }) => fetchPage(pageParam),
    getNextPageParam: (last) => last.next_cursor ?? null,
  });
}

/** A job with its latest errors, kept current by events.ts. */
export function useJob(id: string | null) {
  return useQuery({
    queryKey: ["job", id],
    enabled: id !== null,
    placeholderData: undefined,
    queryFn: () => data(api.GET("/api/imports/{job_id}", { params: { path: { job_id: id ?? "" } } })) as Promise<Shape<"JobDetail">>,
  });
}
