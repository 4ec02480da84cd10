// Every part in its states, to look at while building. Not linked from anywhere.
import { RiAddLine, RiDeleteBinLine, RiInboxLine, RiMoreLine, RiRefreshLine } from "@remixicon/react";
import { useState } from "react";
import { ApiProblem } from "@/api/client";
import {
  Badge, Button, Card, Checkbox, ConfirmDialog, Copy, CopyBox, DateRange, Dialog, EmptyState, ErrorState, Facts, Field, Highlight, IconButton,
  Menu, Note, PageHeader, PlatformLogo, Problem, Progress, SecretInput, Select, Sheet, Skeleton, StackedBar, StatusBadge, Switch, TabPanel, Tabs,
  TextArea, TextInput, Time, toast, Tooltip, type StateOf,
} from "@/parts";
import { DataTable, type Column, type ListQuery } from "@/parts/DataTable";
import { hue } from "@/lib/format";

interface Sample {
  id: string;
  title: string;
  platform: string;
  at: string;
  state: string;
}
const STATES = ["imported", "skipped", "failed", "waiting"];
const ROWS: Sample[] = Array.from({ length: 100_000 }, (_, at) => ({
  id: String(at), title: `Weekly planning, number ${at + 1}`, platform: ["zoom", "fathom", "gong", "google_meet"][at % 4]!, at: new Date(Date.now() - at * 3_600_000).toISOString(), state: STATES[at % 4]!,
}));
const COLUMNS: Column<Sample>[] = [
  { id: "title", header: "Call", width: "minmax(14rem, 3fr)", card: "title", cell: (row) => <span className="flex min-w-0 items-center gap-3"><PlatformLogo platform={row.platform} size="sm" /><span className="truncate">{row.title}</span></span> },
  { id: "at", header: "When", width: "11rem", from: "md", cell: (row) => <Time at={row.at} /> },
  { id: "state", header: "State", width: "9rem", cell: (row) => <StatusBadge of="call" state={row.state} /> },
];
const list = (over: Partial<ListQuery<Sample>>): ListQuery<Sample> => ({
  data: { pages: [{ items: ROWS, next_cursor: null }], pageParams: [null] }, isPending: false, isError: false, error: null, hasNextPage: false, isFetchingNextPage: false, fetchNextPage: () => undefined, refetch: () => undefined, ...over,
});
const away = new ApiProblem(503, "database_away", "The library cannot be reached right now. It comes back by itself; try again in a moment.");
const BADGES: [StateOf, string[]][] = [
  ["job", ["pending", "counting", "in_progress", "waiting", "completed", "partial", "failed", "cancelled"]],
  ["source", ["active", "paused", "error"]],
  ["failed", ["open", "retrying", "resolved", "parked", "discarded"]],
  ["call", ["pending", "imported", "updated", "skipped", "waiting", "failed", "refused"]],
];
const SPEAKERS = ["text-speaker-1", "text-speaker-2", "text-speaker-3", "text-speaker-4", "text-speaker-5", "text-speaker-6", "text-speaker-7", "text-speaker-8"];

export default function Kit() {
  const [open, setOpen] = useState<"dialog" | "confirm" | "sheet" | null>(null);
  const [tab, setTab] = useState("one");
  const [on, setOn] = useState(true);
  const [range, setRange] = useState({ from: "2026-05-01", to: "2026-05-03" });
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set(["1"]));
  const close = (is: boolean) => setOpen(is ? open : null);
  return (
    <>
      <PageHeader title="Kit" lead="Every part in its states." actions={<><Button icon={RiRefreshLine}>Sync now</Button><Button kind="primary" icon={RiAddLine}>Add source</Button></>} />
      <div className="grid gap-5 lg:grid-cols-2">
        <Card title="Buttons">
          <div className="flex flex-wrap gap-2">
            <Button kind="primary">Primary</Button><Button>Secondary</Button><Button kind="quiet">Quiet</Button><Button kind="danger">Danger</Button>
            <Button kind="primary" loading>Saving</Button><Button disabled>Disabled</Button><Button size="sm">Small</Button>
            <IconButton label="Refresh" icon={RiRefreshLine} /><Copy text="x" what="the address" />
            <Menu trigger={<IconButton label="More" icon={RiMoreLine} kind="secondary" />} items={[{ label: "Retry", icon: RiRefreshLine, onSelect: () => undefined }, null, { label: "Discard", icon: RiDeleteBinLine, danger: true, onSelect: () => undefined }]} />
            <Tooltip text="A hint"><Button kind="quiet">With a hint</Button></Tooltip>
          </div>
        </Card>
        <Card title="States">
          <div className="flex flex-col gap-2.5">
            {BADGES.map(([of, states]) => <div key={of} className="flex flex-wrap gap-1.5">{states.map((state) => <StatusBadge key={state} of={of} state={state} />)}</div>)}
            <div className="flex gap-1.5"><Badge>Neutral</Badge><Badge tone="accent">Beta</Badge></div>
          </div>
        </Card>
        <Card title="Fields">
          <div className="grid gap-4">
            <Field label="Name" help="As people will see it."><TextInput defaultValue="Sales calls" /></Field>
            <Field label="API key" error="The account refused this key. Copy it again from Fathom's settings."><SecretInput defaultValue="secret" /></Field>
            <Field label="How often"><Select options={[{ value: "15", label: "Every 15 minutes" }, { value: "60", label: "Every hour" }]} /></Field>
            <Field label="Remark" optional><TextArea placeholder="What is this for?" /></Field>
            <DateRange label="Which calls" value={range} onChange={setRange} />
            <Switch label="Active" checked={on} onChange={setOn} help="Paused sources bring nothing in." />
            <Checkbox label="Keep recordings" defaultChecked />
          </div>
        </Card>
        <div className="grid content-start gap-5">
          <Card title="Progress">
            <div className="grid gap-5">
              <Progress label="Sync" value={4} max={12} text="Syncing… 4 of 12 calls" />
              <Progress label="Counting" text="Counting…" />
              <Progress label="Done" value={12} max={12} tone="good" />
              <StackedBar label="Result" total={12} parts={[{ key: "i", value: 8, tone: "good", label: "imported" }, { key: "s", value: 3, tone: "neutral", label: "skipped" }, { key: "f", value: 1, tone: "bad", label: "failed" }]} />
            </div>
          </Card>
          <Card title="Values">
            <Facts items={[["When", <Time key="t" at={ROWS[0]!.at} as="relative" />], ["Recorded", <Time key="m" at={new Date()} />], ["Hit", <Highlight key="h" pieces={[{ text: "about the ", hit: false }, { text: "budget", hit: true }, { text: " of May", hit: false }]} />]]} />
            <p className="mt-3 flex flex-wrap gap-x-3 font-semibold">{SPEAKERS.map((each, at) => <span key={each} className={each}>Speaker {at + 1}</span>)}<span className="text-soft">{hue("x")}</span></p>
            <div className="mt-3"><CopyBox what="the address" text="https://calls.example/webhooks/generic/0197f3" /></div>
          </Card>
          <Card title="Notes">
            <div className="grid gap-2">
              <Note>Calls arrive by themselves from now on.</Note><Note tone="good">All 12 calls are there.</Note><Note tone="warn">Waits for the limit of Gong, goes on at 14:05.</Note>
              <Problem sentence="The key was refused. Copy it again and save." action={<Button size="sm">Connect again</Button>} />
            </div>
          </Card>
          <Card title="Platforms"><div className="flex flex-wrap gap-2">{["zoom", "fathom", "gong", "google_meet", "grain", "hubspot", "dialpad", "upload", "generic"].map((each) => <PlatformLogo key={each} platform={each} size="lg" title={each} />)}</div></Card>
        </div>
        <Card title="Over the page">
          <div className="flex flex-wrap gap-2">
            <Button onClick={() => setOpen("dialog")}>Dialog</Button><Button onClick={() => setOpen("confirm")}>Question</Button><Button onClick={() => setOpen("sheet")}>Sheet</Button>
            <Button onClick={() => toast.success("8 new calls imported", { detail: "Skipped 3 duplicates", action: { label: "Show", onClick: () => undefined } })}>Toast</Button>
            <Button onClick={() => toast.problem("The sync did not start", away)}>Toast, wrong</Button>
          </div>
        </Card>
        <Card title="Tabs">
          <Tabs label="Sample" value={tab} onChange={setTab} tabs={[{ value: "one", label: "Ours", count: 3 }, { value: "two", label: "Original" }]}>
            <TabPanel value="one">The transcript callstream made.</TabPanel><TabPanel value="two">The transcript as it came.</TabPanel>
          </Tabs>
        </Card>
        <Card><EmptyState icon={RiInboxLine} title="No calls yet" action={<Button kind="primary">Connect a source</Button>}>As soon as a source is connected, its calls appear here.</EmptyState></Card>
        <Card><ErrorState error={away} onRetry={() => undefined} /></Card>
        <Skeleton as="card" /><Card pad={false}><Skeleton as="rows" rows={2} /></Card>
      </div>
      <h2 className="mt-8 mb-3 font-serif text-xl font-semibold">100,000 rows</h2>
      <DataTable label="Sample calls" columns={COLUMNS} query={list({})} rowId={(row) => row.id} rowName={(row) => row.title} onRowOpen={(row) => toast.info(row.title)} selection={{ selected, onChange: setSelected }} empty={null} />
      <Dialog open={open === "dialog"} onOpenChange={close} title="Import older calls" lead="Choose the days; nothing is stored twice." footer={<Button kind="primary">Start</Button>}><DateRange label="Which calls" value={range} onChange={setRange} /></Dialog>
      <ConfirmDialog open={open === "confirm"} onOpenChange={close} title="Disconnect Fathom?" lead="No new calls will arrive. The calls that are there stay." action="Disconnect" danger onConfirm={() => Promise.reject(away)} />
      <Sheet open={open === "sheet"} onOpenChange={close} title="A delivery" lead="Sent 3 minutes ago.">Details stand here.</Sheet>
    </>
  );
}
