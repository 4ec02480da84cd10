// One call: read its transcript, play its recording at a line, see where it came from.
import { RiDeleteBinLine, RiFileSearchLine } from "@remixicon/react";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link, useLocation, useParams, useSearchParams } from "react-router";
import { api, asProblem, data, type Shape } from "@/api/client";
import { useLive } from "@/api/events";
import { queryClient } from "@/api/queries";
import { cn } from "@/lib/cn";
import { duration } from "@/lib/format";
import { useMedia } from "@/lib/media";
import { Button, ButtonLink, EmptyState, ErrorState, Loading, PageHeader, PlatformLogo, Skeleton, Tabs, TabPanel, Time, usePlatformName } from "@/parts";
import { Origin, People } from "./call/About";
import { DeckControls } from "./call/Deck";
import { Downloads } from "./call/Downloads";
import { EraseDialog } from "./call/Erase";
import { linesOf, speakersOf } from "./call/lines";
import { NoRecording, NoTranscript } from "./call/Missing";
import { Original } from "./call/Original";
import { createPlayer } from "./call/player";
import { Recording } from "./call/Recording";
import { Transcript } from "./call/Transcript";
import type { FromLibrary } from "./library/calls";

export default function Call() {
  const { id = "" } = useParams();
  const [address] = useSearchParams();
  const key = ["calls", "one", id];
  const found = useQuery({
    queryKey: key,
    placeholderData: undefined,
    staleTime: 5 * 60_000,
    queryFn: () => data(api.GET("/api/calls/{call_id}", { params: { path: { call_id: id } } })),
  });
  useLive("import.completed", (event) => {
    if (event.call_id === id) void queryClient.invalidateQueries({ queryKey: key });
  });
  if (found.isPending) return <Waiting />;
  if (!found.data) {
    const { status } = asProblem(found.error);
    if (status !== 404 && status !== 422) return <ErrorState error={found.error} onRetry={found.refetch} title="The call could not be opened" />;
    return (
      <>
        <PageHeader title="This call is not there" />
        <EmptyState icon={RiFileSearchLine} title="It is not in your library" action={<ButtonLink to="/calls" kind="primary">To the Library</ButtonLink>}>
          It may have been erased, or the address belongs to another workspace.
        </EmptyState>
      </>
    );
  }
  return <Opened key={id} call={found.data} q={address.get("q") ?? ""} />;
}

function Opened({ call, q }: { call: Shape<"CallDetail">; q: string }) {
  const [address, setAddress] = useSearchParams();
  const from = useLocation().state as FromLibrary | null;
  const back = from?.library ?? (q ? `/calls?${new URLSearchParams({ q }).toString()}` : "/calls");
  const wide = useMedia("(min-width: 1024px)");
  const lines = useMemo(() => linesOf(call), [call]);
  const speakers = useMemo(() => speakersOf(lines), [lines]);
  const [player] = useState(() => createPlayer(call.duration_seconds));
  const [words, setWords] = useState(q);
  const [erasing, setErasing] = useState(false);
  const platform = usePlatformName(call.source_app);
  const playable = call.media?.available === true;
  const video = call.media?.content_type?.startsWith("video/") === true;
  const original = call.original_transcript ?? "";
  const asked = address.get("view") ?? "";
  const view = original && (asked === "original" || (asked === "both" && wide)) ? asked : "ours";
  const setView = (next: string) =>
    setAddress((before) => {
      if (next === "ours") before.delete("view");
      else before.set("view", next);
      return before;
    }, { replace: true, preventScrollReset: true, state: from });
  const tabs = [{ value: "ours", label: "Transcript" }, { value: "original", label: "Original" }, ...(wide ? [{ value: "both", label: "Side by side" }] : [])];
  const link = (seconds: number) => `${window.location.origin}/calls/${call.id}?at=${Math.floor(seconds)}`;

  const media = playable && (
    <>
      <Recording player={player} address={call.media!.url} video={video} captions={`/api/calls/${call.id}/transcript?format=vtt`} />
      <DeckControls player={player} link={link} />
    </>
  );
  const ours = lines.length ? (
    <Transcript lines={lines} speakers={speakers} player={player} playable={playable} words={words} onWords={setWords} begin={secondsOf(address.get("at"))} deck={media || <NoRecording call={call} />} />
  ) : (
    <div className="grid gap-4">
      {media ? <div className="rounded-lg border border-line bg-card p-4 shadow-low">{media}</div> : null}
      <NoTranscript call={call} />
    </div>
  );
  const aside = (
    <>
      <People call={call} speakers={speakers} />
      <Origin call={call} />
    </>
  );
  const body = (
    <div className={cn("grid items-start gap-5", view === "both" ? "lg:grid-cols-2" : "lg:grid-cols-[minmax(0,1fr)_18.5rem]")}>
      <div className={cn("min-w-0", view === "original" && "hidden")}>{ours}</div>
      {view !== "ours" && <Original text={original} from={platform} />}
      <div className={cn("grid gap-5", view === "both" ? "lg:col-span-2 lg:grid-cols-2" : "lg:sticky lg:top-4 lg:max-h-[calc(100dvh-2rem)] lg:overflow-y-auto")}>{aside}</div>
    </div>
  );
  return (
    <>
      <PageHeader
        title={call.title || "Without a title"}
        above={<Link to={back} className="link">Library</Link>}
        lead={
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span className="inline-flex items-center gap-2"><PlatformLogo platform={call.source_app} size="sm" />{platform}</span>
            {call.recording_start_time ? <Time at={call.recording_start_time} /> : <span>Time not known</span>}
            {call.duration_seconds !== null && <span>{duration(call.duration_seconds)}</span>}
          </span>
        }
        actions={
          <>
            <Downloads call={call} />
            <Button kind="quiet" icon={RiDeleteBinLine} className="text-bad hover:bg-bad-wash" onClick={() => setErasing(true)}>Erase</Button>
          </>
        }
      />
      {original ? <Tabs label="Which transcript" tabs={tabs} value={view} onChange={setView}><TabPanel value={view}>{body}</TabPanel></Tabs> : body}
      <EraseDialog id={call.id} title={call.title} open={erasing} onOpenChange={setErasing} />
    </>
  );
}

function secondsOf(text: string | null): number | null {
  const seconds = Number(text);
  return text && Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}

function Waiting() {
  return (
    <div>
      <Loading label="Loading the call" />
      <Skeleton className="mb-3 h-4 w-20" /><Skeleton className="mb-3 h-9 w-96 max-w-full" /><Skeleton className="mb-8 h-5 w-72" />
      <Skeleton className="mb-6 h-10 w-64" />
      <div className="grid gap-5 lg:grid-cols-[minmax(0,1fr)_18.5rem]">
        <div className="rounded-lg border border-line bg-card"><Skeleton as="rows" rows={9} /></div>
        <div className="grid content-start gap-5"><Skeleton as="card" className="h-44" /><Skeleton as="card" className="h-72" /></div>
      </div>
    </div>
  );
}
