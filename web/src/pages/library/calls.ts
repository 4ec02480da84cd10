// The calls of the library as the page keeps them: page by page, without what no row shows, changed in place by live events.
import { useInfiniteQuery } from "@tanstack/react-query";
import { api, data, type Shape } from "@/api/client";
import { patchPages } from "@/api/live";
import { queryClient, type Page, type Pages } from "@/api/queries";
import { queryOf, type Filters } from "./filters";

const PAGE = 60;

type Item = Shape<"CallItem">;
export type CallRow = Pick<
  Item,
  "id" | "source_app" | "title" | "recording_start_time" | "imported_at" | "duration_seconds" | "metadata_quality" | "has_media" | "has_transcript" | "title_pieces" | "snippets"
> & { people: string[] };

/** What a call remembers of the list it was opened from: its address, to come back to. */
export interface FromLibrary {
  library: string;
}

export const LIST = ["calls", "list"] as const;
export const keyOf = (filters: Filters) => [...LIST, filters] as const;

/** The calls that fit, newest import first. Never fetched again behind the person's back: hundreds of pages may be loaded. */
export function useCalls(filters: Filters) {
  return useInfiniteQuery<Page<CallRow>, Error, Pages<CallRow>, readonly unknown[], string | null>({
    queryKey: keyOf(filters),
    initialPageParam: null,
    staleTime: 5 * 60_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    queryFn: async ({ pageParam, signal }) => {
      const query = { ...queryOf(filters), limit: PAGE, cursor: pageParam ?? undefined };
      const page = await data(api.GET("/api/calls", { params: { query }, signal }));
      return { items: page.items.map(rowOf), next_cursor: page.next_cursor };
    },
    getNextPageParam: (last) => last.next_cursor ?? null,
  });
}

function rowOf(item: Item): CallRow {
  const people = item.participants.map((each) => each.name ?? each.email ?? each.phone ?? "").filter(Boolean);
  return {
    id: item.id,
    source_app: item.source_app,
    title: item.title,
    recording_start_time: item.recording_start_time,
    imported_at: item.imported_at,
    duration_seconds: item.duration_seconds,
    metadata_quality: item.metadata_quality,
    has_media: item.has_media,
    has_transcript: item.has_transcript,
    title_pieces: item.title_pieces,
    snippets: item.snippets,
    people,
  };
}

/** Begin the list anew with its first page. */
export async function fromTheTop(filters: Filters): Promise<void> {
  const key = keyOf(filters);
  queryClient.setQueryData<Pages<CallRow>>(key, (old) => (old ? { pages: old.pages.slice(0, 1), pageParams: old.pageParams.slice(0, 1) } : old));
  await queryClient.refetchQueries({ queryKey: key, exact: true });
}

/** A call was updated: its title changes where it stands. */
export function retitle(id: string, title: string): void {
  for (const [key, pages] of queryClient.getQueriesData<Pages<CallRow>>({ queryKey: LIST })) {
    if (pages) queryClient.setQueryData(key, patchPages(pages, (each) => each.id === id, (each) => ({ ...each, title, title_pieces: null })));
  }
}

/** A call was erased: it leaves every list. */
export function forget(id: string): void {
  for (const [key, pages] of queryClient.getQueriesData<Pages<CallRow>>({ queryKey: LIST })) {
    if (!pages?.pages.some((page) => page.items.some((each) => each.id === id))) continue;
    queryClient.setQueryData(key, { ...pages, pages: pages.pages.map((page) => ({ ...page, items: page.items.filter((each) => each.id !== id) })) });
  }
}

/** How complete what the source said of a call is. */
export const QUALITY: Record<Item["metadata_quality"], string> = {
  full: "All details",
  partial: "Some details missing",
  minimal: "Only the basics",
};

/** What of a call can be read and played. */
export function holds(call: Pick<Item, "has_media" | "has_transcript">): string {
  if (call.has_media) return call.has_transcript ? "Transcript and recording" : "Recording only";
  return call.has_transcript ? "Transcript" : "No transcript, no recording";
}
