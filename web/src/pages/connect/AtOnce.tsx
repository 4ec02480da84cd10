// Calls at once instead of with the next sync: an address the platform sends to, and the secret it signs with. For "any
// system" it is the whole way in.
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, asProblem, data, type Shape, type Source } from "@/api/client";
import { queryClient } from "@/api/queries";
import { Button, ButtonLink, Card, ConfirmDialog, CopyBox, Disclosure, ErrorState, Field, Loading, Note, Problem, SecretInput, Skeleton, Time, toast } from "@/parts";
import { Instructions } from "./FormWay";
import { Step } from "./SignInWay";

type Endpoint = Shape<"Endpoint">;
type Made = Shape<"NewEndpoint">;
type Platform = Shape<"Platform">;
const KEY = ["hub", "endpoints"] as const;

export function AtOnce({ platform, source }: { platform: Platform; source: Source | undefined }) {
  const [made, setMade] = useState<Made | null>(null);
  const found = useQuery({
    queryKey: KEY,
    queryFn: async () => (await data(api.GET("/api/webhook-endpoints", { params: { query: { limit: 200 } } }))).items,
  });
  if (!platform.webhook) return <Note>{platform.display_name} cannot send calls by itself. They come with each sync.</Note>;
  if (found.isError && !found.data) return <ErrorState error={found.error} onRetry={found.refetch} />;
  if (found.isPending) return <Card as="div"><Loading /><Skeleton className="mb-3 w-2/3" /><Skeleton className="h-10 w-40" /></Card>;
  const mine = found.data.filter((each) => each.platform === platform.platform && (!source || !each.source_id || each.source_id === source.id) && each.id !== made?.id);
  return (
    <div className="grid grid-cols-1 gap-5">
      <p className="text-soft">
        {platform.auths.length
          ? `With this, ${platform.display_name} tells callstream of a new call the moment it is ready. Without it, calls come with the next sync: nothing is lost either way.`
          : "Your program sends each call to an address of your own, signed with a secret. A call that was accepted is never lost, and one that is sent twice is stored once."}
      </p>
      {made ? <Finish platform={platform} made={made} /> : <Create platform={platform} source={source} first={!mine.length} onMade={setMade} />}
      {mine.length > 0 && (
        <Card title={mine.length === 1 ? "The address you have" : "The addresses you have"}>
          <ul className="grid grid-cols-1 gap-5">{mine.map((each) => <Existing key={each.id} platform={platform} endpoint={each} />)}</ul>
        </Card>
      )}
      <div><ButtonLink to="/">{made ? "Done" : "To the Import Hub"}</ButtonLink></div>
    </div>
  );
}

function Create({ platform, source, first, onMade }: { platform: Platform; source: Source | undefined; first: boolean; onMade: (made: Made) => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const create = async () => {
    setBusy(true);
    setProblem(null);
    try {
      onMade(await data(api.POST("/api/webhook-endpoints", { body: { platform: platform.platform, ...(source ? { source_id: source.id } : {}) } })));
      void queryClient.invalidateQueries({ queryKey: KEY });
    } catch (error) {
      setProblem(asProblem(error).sentence);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="grid justify-items-start gap-3">
      {problem && <Problem sentence={problem} />}
      <Button kind={first ? "primary" : "secondary"} loading={busy} onClick={() => void create()}>{first ? "Make an address" : "Make another address"}</Button>
    </div>
  );
}

function Finish({ platform, made }: { platform: Platform; made: Made }) {
  const theirs = platform.webhook?.key_from === "source";
  return (
    <Card as="div">
      <ol className="grid grid-cols-1 gap-5">
        <Step at={1} title={platform.auths.length ? `The address for ${platform.display_name}` : "The address"}>
          <CopyBox text={made.url} what="the address" />
        </Step>
        {made.secret && (
          <Step at={2} title="The secret">
            <CopyBox text={made.secret} what="the secret" />
            <p className="mt-1.5 text-sm text-soft">It is shown only this once. Lost it? Make another address then.</p>
          </Step>
        )}
        <Step at={made.secret ? 3 : 2} title={platform.auths.length ? `At ${platform.display_name}` : "In your program"}>
          {platform.auths.length ? <p><Instructions text={made.setup || (platform.webhook?.setup ?? "")} /></p> : <ForPrograms />}
        </Step>
        {theirs && <Step at={made.secret ? 4 : 3} title="The secret"><Secret platform={platform} endpointId={made.id} /></Step>}
      </ol>
    </Card>
  );
}

const EXAMPLE = `{
  "external_id": "call-4711",
  "title": "Weekly planning",
  "recording_start_time": "2026-05-03T14:05:00Z",
  "segments": [
    {"speaker": "Mila", "text": "Shall we begin?", "start_ms": 0, "end_ms": 1800}
  ]
}`;

function ForPrograms() {
  return (
    <div className="grid grid-cols-1 gap-2">
      <p>
        Send each call as JSON with POST, signed as <a className="link" href="https://www.standardwebhooks.com" target="_blank" rel="noreferrer">Standard Webhooks</a> say; there are libraries for
        every language. Instead of the words of a call you can give the address of its recording as <code>media_url</code>.
      </p>
      {/* The example scrolls by itself on phones, so it must be reachable by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0} aria-label="An example of a call" className="overflow-x-auto rounded-md bg-sunken p-3 text-sm"><code>{EXAMPLE}</code></pre>
      <p className="text-sm text-soft">All of it is described in the <a className="link" href="/docs">API reference</a>.</p>
    </div>
  );
}

function Secret({ platform, endpointId }: { platform: Platform; endpointId: string }) {
  const [secret, setSecret] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [saved, setSaved] = useState(false);
  const save = async (event: FormEvent) => {
    event.preventDefault();
    if (!secret.trim()) return setError(`Enter the secret that ${platform.display_name} shows.`);
    setBusy(true);
    setError(null);
    try {
      await api.PATCH("/api/webhook-endpoints/{endpoint_id}", { params: { path: { endpoint_id: endpointId } }, body: { secret: secret.trim() } });
      setSaved(true);
      setSecret("");
      toast.success("The secret is saved", { detail: `Calls of ${platform.display_name} come at once from now on.` });
    } catch (problem) {
      setError(asProblem(problem).sentence);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void save(event)} noValidate className="grid gap-2">
      <Field label={`Secret from ${platform.display_name}`} error={error} help={saved ? "Saved. Enter another one only if it changes there." : "Until it is saved, nothing is taken from this address."}>
        <SecretInput value={secret} onChange={(event) => setSecret(event.target.value)} />
      </Field>
      <div><Button type="submit" kind={saved ? "secondary" : "primary"} loading={busy}>Save secret</Button></div>
    </form>
  );
}

function Existing({ platform, endpoint }: { platform: Platform; endpoint: Endpoint }) {
  const [asking, setAsking] = useState(false);
  const close = async () => {
    await api.DELETE("/api/webhook-endpoints/{endpoint_id}", { params: { path: { endpoint_id: endpoint.id } } });
    queryClient.setQueryData<Endpoint[]>(KEY, (old) => old?.filter((each) => each.id !== endpoint.id));
    toast.success("The address is closed");
  };
  return (
    <li className="grid grid-cols-1 gap-2">
      <CopyBox text={endpoint.url} what="the address" />
      <p className="text-sm text-soft">Made <Time at={endpoint.created_at} as="relative" /></p>
      {platform.webhook?.key_from === "source" && (
        <Disclosure label="Change the secret"><Secret platform={platform} endpointId={endpoint.id} /></Disclosure>
      )}
      <div><Button size="sm" onClick={() => setAsking(true)}>Close this address</Button></div>
      <ConfirmDialog open={asking} onOpenChange={setAsking} danger title="Close this address?" action="Close it" onConfirm={close}
        lead="Whatever is sent to it from then on is refused. The calls it brought stay." />
    </li>
  );
}
