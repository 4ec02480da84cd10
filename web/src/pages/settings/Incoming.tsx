// Incoming addresses: where sources send their calls to. Also for any system of one's own.
import { RiAddLine, RiInboxArchiveLine } from "@remixicon/react";
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, data, type Shape } from "@/api/client";
import { queryClient, usePlatforms, useSources } from "@/api/queries";
import { Button, Card, ConfirmDialog, CopyBox, Disclosure, EmptyState, ErrorState, Field, Loading, PlatformLogo, SecretInput, Select, Skeleton, Time, toast, usePlatformName } from "@/parts";
import { Instructions } from "../connect/FormWay";
import { atField, elsewhere, FormDialog, useSending } from "./forms";
import { ShownOnce } from "./ShownOnce";

type Endpoint = Shape<"Endpoint">;
type NewEndpoint = Shape<"NewEndpoint">;
const LIST = ["hub", "endpoints"] as const; // the same list as on the page that connects a source

export function Incoming() {
  const [asks, setAsks] = useState(false);
  const [made, setMade] = useState<NewEndpoint | null>(null);
  const list = useQuery({
    queryKey: LIST,
    queryFn: async () => (await data(api.GET("/api/webhook-endpoints", { params: { query: { limit: 200 } } }))).items,
  });
  const add = (endpoint: NewEndpoint) => {
    const kept: Endpoint = { id: endpoint.id, platform: endpoint.platform, url: endpoint.url, created_at: endpoint.created_at, source_id: endpoint.source_id };
    queryClient.setQueryData<Endpoint[]>(LIST, (old) => old && [kept, ...old]);
    setMade(endpoint);
    setAsks(false);
  };
  const create = <Button kind={made ? "secondary" : "primary"} icon={RiAddLine} onClick={() => setAsks(true)}>New address</Button>;
  return (
    <>
      {made && <Made endpoint={made} onDone={() => setMade(null)} />}
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <p className="text-soft">A call that an address accepted is never lost, and one that is sent twice is stored once.</p>
        {list.data?.length !== 0 && create}
      </div>
      {list.isPending ? (
        <div className="grid gap-4"><Loading label="Loading the addresses" />{[0, 1].map((each) => <Skeleton key={each} as="card" className="h-40" />)}</div>
      ) : !list.data ? (
        <Card pad={false}><ErrorState error={list.error} onRetry={list.refetch} /></Card>
      ) : !list.data.length ? (
        <Card pad={false}>
          <EmptyState icon={RiInboxArchiveLine} title="There is no address yet" action={create}>
            Sources are read with each sync all the same. An address brings their calls at once, and takes calls from any system of your own.
          </EmptyState>
        </Card>
      ) : (
        <ul className="grid gap-4" aria-label="Incoming addresses">{list.data.map((each) => <One key={each.id} endpoint={each} onClosed={() => made?.id === each.id && setMade(null)} />)}</ul>
      )}
      {asks && <Create onClose={() => setAsks(false)} onMade={add} />}
    </>
  );
}

function Made({ endpoint, onDone }: { endpoint: NewEndpoint; onDone: () => void }) {
  const { platform, name } = useFrom(endpoint);
  const theirs = platform?.webhook?.key_from === "source";
  return (
    <ShownOnce
      title={`The address for ${name}`}
      items={[{ what: "the address", label: "Address", text: endpoint.url }, ...(endpoint.secret ? [{ what: "the secret", label: "Secret", text: endpoint.secret }] : [])]}
      warning={endpoint.secret ? "Copy the secret now: it is shown only this once. Lost it? Close the address and make another one." : null}
      onDone={onDone}
    >
      <div>
        <p className="font-medium">{whatToDo(platform, name)}</p>
        <Setup platform={platform} setup={endpoint.setup} />
      </div>
      {theirs && <Secret endpoint={endpoint} name={name} />}
    </ShownOnce>
  );
}

type Platform = Shape<"Platform">;

/** Where its calls come from. */
function useFrom(endpoint: Endpoint): { platform: Platform | undefined; name: string } {
  const platform = usePlatforms().data?.find((each) => each.platform === endpoint.platform);
  const name = usePlatformName(endpoint.platform);
  return { platform, name: own(platform) ? "your own system" : name };
}
const own = (platform: Platform | undefined): boolean => platform?.auths.length === 0;
const whatToDo = (platform: Platform | undefined, name: string): string => (own(platform) ? "What to do in your program" : `What to do at ${name}`);

function Setup({ platform, setup }: { platform: Platform | undefined; setup: string }) {
  const text = setup || (platform?.webhook?.setup ?? "");
  if (!own(platform)) return <p className="text-soft"><Instructions text={text} /></p>;
  return (
    <p className="text-soft">
      Send each call as JSON with POST, signed with the secret as <a className="link" href="https://www.standardwebhooks.com" target="_blank" rel="noreferrer">Standard Webhooks</a> say; there are
      libraries for every language. What a call looks like is described in the <a className="link" href="/docs">API reference</a>.
    </p>
  );
}

function One({ endpoint, onClosed }: { endpoint: Endpoint; onClosed: () => void }) {
  const [asks, setAsks] = useState(false);
  const { platform, name } = useFrom(endpoint);
  const source = useSources().data?.find((each) => each.id === endpoint.source_id);
  const close = async () => {
    await api.DELETE("/api/webhook-endpoints/{endpoint_id}", { params: { path: { endpoint_id: endpoint.id } } });
    queryClient.setQueryData<Endpoint[]>(LIST, (old) => old?.filter((each) => each.id !== endpoint.id));
    onClosed();
    toast.success("The address is closed");
  };
  return (
    <Card as="li">
      <div className="mb-3 flex flex-wrap items-center gap-x-3 gap-y-2">
        <PlatformLogo platform={endpoint.platform} />
        <div className="min-w-0 flex-1">
          <h3 className="truncate font-semibold first-letter:uppercase">{name}</h3>
          <p className="truncate text-sm text-soft">{source ? `${source.account} · ` : ""}made <Time at={endpoint.created_at} as="relative" /></p>
        </div>
        <Button size="sm" aria-label={`Close the address for ${name}`} onClick={() => setAsks(true)}>Close</Button>
      </div>
      <CopyBox text={endpoint.url} what="the address" />
      {platform?.webhook && (
        <Disclosure label={platform.webhook.key_from === "source" ? `Set the secret from ${name}` : whatToDo(platform, name)} className="mt-1">
          <div className="grid gap-3 pb-1">
            <Setup platform={platform} setup="" />
            {platform.webhook.key_from === "source" && <Secret endpoint={endpoint} name={name} />}
          </div>
        </Disclosure>
      )}
      <ConfirmDialog open={asks} onOpenChange={setAsks} danger title="Close this address?" action="Close it" dismiss="Keep it open" onConfirm={close}
        lead={`Whatever ${name} sends to it from then on is refused. The calls it brought stay.`} />
    </Card>
  );
}

/** The secret that the source makes: until it is here, nothing is taken from the address. */
function Secret({ endpoint, name }: { endpoint: Endpoint; name: string }) {
  const [secret, setSecret] = useState("");
  const [empty, setEmpty] = useState(false);
  const [saved, setSaved] = useState(false);
  const { busy, problem, send } = useSending();
  const save = async (event: FormEvent) => {
    event.preventDefault();
    setEmpty(!secret.trim());
    if (!secret.trim()) return;
    const done = await send(() => api.PATCH("/api/webhook-endpoints/{endpoint_id}", { params: { path: { endpoint_id: endpoint.id } }, body: { secret: secret.trim() } }));
    if (!done) return;
    setSaved(true);
    setSecret("");
    toast.success("The secret is saved", { detail: `What ${name} sends is checked with it from now on.` });
  };
  return (
    <form noValidate onSubmit={(event) => void save(event)} className="grid gap-2">
      <Field
        label={`Secret from ${name}`}
        error={empty ? `Enter the secret that ${name} shows.` : problem?.sentence}
        help={saved ? "Saved. Enter another one only if it changes there." : "It is kept encrypted. Nothing is taken from an address without one."}
      >
        <SecretInput value={secret} onChange={(event) => setSecret(event.target.value)} />
      </Field>
      <div><Button type="submit" loading={busy}>Save secret</Button></div>
    </form>
  );
}

function Create({ onClose, onMade }: { onClose: () => void; onMade: (made: NewEndpoint) => void }) {
  const platforms = usePlatforms();
  const sources = useSources();
  const able = (platforms.data ?? []).filter((each) => each.webhook);
  const [chosen, setChosen] = useState("");
  const [account, setAccount] = useState("");
  const { busy, problem, send } = useSending();
  const connected = new Set((sources.data ?? []).map((each) => each.platform));
  const sorted = [...able].sort((a, b) => Number(connected.has(b.platform)) - Number(connected.has(a.platform)));
  const platform = sorted.find((each) => each.platform === chosen);
  const accounts = (sources.data ?? []).filter((each) => each.platform === platform?.platform);
  const source = accounts.find((each) => each.id === account) ?? accounts[0];
  const [lacking, setLacking] = useState(false);
  const submit = () => {
    setLacking(true);
    if (!platform) return;
    void send(async () => {
      onMade(await data(api.POST("/api/webhook-endpoints", { body: { platform: platform.platform, ...(source ? { source_id: source.id } : {}) } })));
    });
  };
  return (
    <FormDialog
      open
      onClose={onClose}
      title="New address"
      lead="It is made for one source. What to enter there is shown next."
      action="Make the address"
      busy={busy}
      error={platforms.error ? "The list of sources could not be read. Close this and try again." : elsewhere(problem, ["platform", "source_id"])}
      onSubmit={submit}
    >
      <Field label="From" error={lacking && !platform ? "Choose where the calls come from." : atField(problem, "platform")} help={platform && platform.auths.length > 0 && !connected.has(platform.platform) ? `${platform.display_name} is not connected yet. Most sources only name their new calls; they are read through the connected account.` : undefined}>
        <Select value={platform?.platform ?? ""} onChange={(event) => setChosen(event.target.value)} options={[{ value: "", label: "Choose…" }, ...sorted.map((each) => ({ value: each.platform, label: each.auths.length ? each.display_name : "Any system of your own" }))]} />
      </Field>
      {accounts.length > 1 && (
        <Field label="Account" error={atField(problem, "source_id")}>
          <Select value={source?.id ?? ""} onChange={(event) => setAccount(event.target.value)} options={accounts.map((each) => ({ value: each.id, label: each.account }))} />
        </Field>
      )}
    </FormDialog>
  );
}
