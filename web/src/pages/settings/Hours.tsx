// The processing window: at which hours of the day large imports may run.
import { RiMoonClearLine, RiTimeLine } from "@remixicon/react";
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, data, type Shape } from "@/api/client";
import { queryClient, useSession } from "@/api/queries";
import { Badge, Button, Card, ErrorState, Field, Loading, Problem, Select, Skeleton, Switch, TextInput, Time, toast, useNow } from "@/parts";
import { DayPicture } from "./DayPicture";
import { useSending } from "./forms";
import { OnlyOwners } from "./Gate";
import { lengthWords, minutesOf, ownZone, zones } from "./hours";

type SettingsView = Shape<"SettingsView">;
const KEY = ["settings", "workspace"] as const;

export function Hours() {
  const owner = useSession().data?.role === "owner";
  const found = useQuery({ queryKey: KEY, staleTime: 0, refetchInterval: 60_000, queryFn: () => data(api.GET("/api/settings")) });
  if (found.isPending) return <Card><Loading /><Skeleton className="mb-4 h-6 w-56" /><Skeleton className="mb-4 h-24 w-full" /><Skeleton className="h-10 w-72" /></Card>;
  if (!found.data) return <Card pad={false}><ErrorState error={found.error} onRetry={found.refetch} /></Card>;
  return (
    <>
      {!owner && <OnlyOwners what="change these hours" />}
      <Now settings={found.data} />
      <Form settings={found.data} owner={owner} />
      <p className="mt-4 max-w-[68ch] text-sm text-soft text-pretty">
        First imports, backfills and scheduled syncs keep to these hours: outside of them they wait and go on by themselves. Never waiting: “Sync now”, uploads, and calls that a source
        sends by itself.
      </p>
    </>
  );
}

function Now({ settings }: { settings: SettingsView }) {
  if (!settings.processing_window) return null;
  return (
    <p className="mb-4 flex flex-wrap items-center gap-2" role="status">
      {settings.window_open ? <Badge tone="good" icon={RiTimeLine}>Open now</Badge> : <Badge tone="warn" icon={RiMoonClearLine}>Closed now</Badge>}
      {settings.window_open ? "Imports may run at this moment." : <span>Waiting imports go on <Time at={settings.window_opens_at} as="relative" />, at <Time at={settings.window_opens_at} />.</span>}
    </p>
  );
}

function Form({ settings, owner }: { settings: SettingsView; owner: boolean }) {
  const now = useNow();
  const kept = settings.processing_window;
  const [limited, setLimited] = useState(kept !== null);
  const [from, setFrom] = useState(kept?.from ?? "20:00");
  const [to, setTo] = useState(kept?.to ?? "06:00");
  const [zone, setZone] = useState(kept?.zone ?? ownZone());
  const { busy, problem, send, clear } = useSending();
  const [begins, ends] = [minutesOf(from), minutesOf(to)];
  const same = begins !== null && begins === ends;
  const wanted = limited ? { from, to, zone } : null;
  const changed = JSON.stringify(wanted) !== JSON.stringify(kept && { from: kept.from, to: kept.to, zone: kept.zone });
  const valid = !limited || (begins !== null && ends !== null && !same);
  const save = async (event: FormEvent) => {
    event.preventDefault();
    if (!valid || busy) return;
    if (!changed) return void toast.info("Nothing has changed");
    await send(async () => {
      queryClient.setQueryData<SettingsView>(KEY, await data(api.PATCH("/api/settings", { body: { processing_window: wanted } })));
      toast.success("Saved", { detail: wanted ? `Large imports run from ${from} to ${to}.` : "Imports run at any time." });
    });
  };
  const undo = () => {
    clear();
    setLimited(kept !== null);
    if (!kept) return;
    setFrom(kept.from);
    setTo(kept.to);
    setZone(kept.zone);
  };
  return (
    <Card>
      <form noValidate onSubmit={(event) => void save(event)} className="grid gap-4">
        <Switch label="Only at certain hours" checked={limited} disabled={!owner} onChange={setLimited} help={limited ? undefined : "Now, imports run at any time of the day."} />
        {limited && (
          <>
            <fieldset disabled={!owner} className="grid gap-4 sm:grid-cols-[9rem_9rem_minmax(0,1fr)]">
              <legend className="sr-only">Hours</legend>
              <Field label="From" error={begins === null ? "Enter a time." : null}><TextInput type="time" value={from} onChange={(event) => setFrom(event.target.value)} /></Field>
              <Field label="To" error={ends === null ? "Enter a time." : same ? "Choose another time than the beginning." : null}><TextInput type="time" value={to} onChange={(event) => setTo(event.target.value)} /></Field>
              <Field label="Time zone"><Select value={zone} onChange={(event) => setZone(event.target.value)} options={zones([zone, ownZone()]).map((each) => ({ value: each, label: each.replaceAll("_", " ") + (each === ownZone() ? " (yours)" : "") }))} /></Field>
            </fieldset>
            {begins !== null && ends !== null && !same && (
              <div>
                <p className="mb-2 text-soft">{lengthWords(begins, ends)}</p>
                <DayPicture from={begins} to={ends} zone={zone} now={now} />
              </div>
            )}
          </>
        )}
        {problem && <Problem sentence={problem.sentence} />}
        {owner && (
          <div className="flex flex-wrap gap-2">
            <Button type="submit" kind="primary" loading={busy} disabled={!valid}>Save</Button>
            {changed && <Button onClick={undo}>Undo</Button>}
          </div>
        )}
      </form>
    </Card>
  );
}
