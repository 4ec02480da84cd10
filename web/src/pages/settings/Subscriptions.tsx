// Outgoing webhooks, and Slack, which is one of them: who is told of what. One that is open stands in the address (?open=).
import { RiAddLine, RiSendPlaneLine, RiSlackLine } from "@remixicon/react";
import { useState } from "react";
import { Link } from "react-router";
import type { Shape } from "@/api/client";
import { useAddress } from "@/lib/address";
import { Badge, Button, Card, EmptyState, ErrorState, Loading, Skeleton, Time } from "@/parts";
import { putSubscription, useSubscriptions, type Subscription } from "./deliveries";
import { Detail } from "./SubscriptionDetail";
import { SubscriptionForm } from "./SubscriptionForm";
import { ShownOnce } from "./ShownOnce";
import { eventsWords, healthWords, kindName, stateOf, type Kind } from "./events";

export const Webhooks = () => <Subscriptions kind="standard" />;
export const Slack = () => <Subscriptions kind="slack" />;

function Subscriptions({ kind }: { kind: Kind }) {
  const [address, change] = useAddress();
  const open = address.get("open");
  const [asks, setAsks] = useState(false);
  const [made, setMade] = useState<Shape<"NewSubscription"> | null>(null);
  const list = useSubscriptions();
  const mine = list.data?.filter((each) => each.kind === kind);
  const slack = kind === "slack";
  const add = (subscription: Shape<"NewSubscription">) => {
    putSubscription({ ...subscription, secret: undefined } as Subscription);
    setAsks(false);
    if (slack) change({ open: subscription.id }, { push: true });
    else setMade(subscription);
  };
  if (open) return <Detail id={open} kind={kind} onClose={() => change({ open: null, state: null }, { push: true })} />;
  const create = <Button kind={made ? "secondary" : "primary"} icon={RiAddLine} onClick={() => setAsks(true)}>{slack ? "Add a channel" : "Add a webhook"}</Button>;
  return (
    <>
      {made && (
        <ShownOnce
          title="Your webhook is on"
          items={[{ what: "the secret", label: "Signing secret", text: made.secret ?? "" }]}
          warning="Copy the secret now: it is shown only this once. With it your system checks that a message came from here. Lost it? Ask for a new one in its details."
          onDone={() => setMade(null)}
        >
          <p className="text-soft">
            What is sent is signed as <a className="link" href="https://www.standardwebhooks.com" target="_blank" rel="noreferrer">Standard Webhooks</a> say; there are libraries for every language.{" "}
            <Link className="link" to={`?open=${made.id}`}>Send a test</Link> to see whether it arrives.
          </p>
        </ShownOnce>
      )}
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <p className="max-w-[60ch] text-soft text-pretty">{slack ? "A channel hears of what matters only: imports that are over, and calls that failed." : "What cannot be delivered is tried again for three days, and can be sent once more by hand after that."}</p>
        {mine?.length !== 0 && create}
      </div>
      {list.isPending ? (
        <div className="grid gap-4"><Loading />{[0, 1].map((each) => <Skeleton key={each} as="card" className="h-32" />)}</div>
      ) : !mine ? (
        <Card pad={false}><ErrorState error={list.error} onRetry={list.refetch} /></Card>
      ) : !mine.length ? (
        <Card pad={false}>
          <EmptyState icon={slack ? RiSlackLine : RiSendPlaneLine} title={slack ? "No channel hears of anything yet" : "Nobody is told of anything yet"} action={create}>
            {slack ? "Paste the address of a channel, and choose what it should hear of." : "Give the address of your own system, and choose what it should hear of."}
          </EmptyState>
        </Card>
      ) : (
        <ul className="grid gap-4" aria-label={slack ? "Channels" : "Webhooks"}>{mine.map((each) => <Row key={each.id} subscription={each} />)}</ul>
      )}
      {asks && <SubscriptionForm kind={kind} onClose={() => setAsks(false)} onMade={add} />}
    </>
  );
}

function Row({ subscription }: { subscription: Subscription }) {
  const state = stateOf(subscription);
  const tried = subscription.delivered_24h + subscription.failed_24h;
  return (
    <Card as="li" className="relative transition-colors hover:border-line-strong">
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-64">
          <h3 className="font-semibold break-all">
            <Link to={`?open=${subscription.id}`} className="after:absolute after:inset-0 after:rounded-lg hover:underline">{kindName(subscription)}</Link>
          </h3>
          {subscription.description && <p className="text-sm break-all text-soft">{subscription.url}</p>}
        </div>
        <Badge tone={state.tone} icon={state.icon}>{state.word}</Badge>
      </div>
      <p className="mt-2">{eventsWords(subscription.events)}</p>
      <p className="mt-1 text-sm text-soft">
        {healthWords(subscription)}
        {tried > 0 && subscription.last_delivery_at && <> · the last <Time at={subscription.last_delivery_at} as="relative" /></>}
      </p>
      {subscription.paused_reason && <p className="mt-2 text-sm text-warn">{subscription.paused_reason}</p>}
    </Card>
  );
}
