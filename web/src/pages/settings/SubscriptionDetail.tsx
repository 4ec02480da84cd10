// One outgoing webhook or channel: what it hears of, how it goes, and each message with what the other side answered.
import { RiArrowLeftLine, RiInboxLine, RiMoreLine, RiSendPlaneLine } from "@remixicon/react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, asProblem, data } from "@/api/client";
import { useAddress } from "@/lib/address";
import { Badge, Button, Card, ConfirmDialog, EmptyState, ErrorState, Facts, IconButton, Loading, Menu, Note, Skeleton, Time, toast } from "@/parts";
import { Deliveries } from "./Deliveries";
import { dropSubscription, putDelivery, putSubscription, recount, useSubscriptions, type Subscription } from "./deliveries";
import { answerWords, eventsWords, healthWords, kindName, stateOf, type Kind } from "./events";
import { ShownOnce } from "./ShownOnce";
import { SubscriptionForm } from "./SubscriptionForm";

export function Detail({ id, kind, onClose }: { id: string; kind: Kind; onClose: () => void }) {
  const known = useSubscriptions().data?.find((each) => each.id === id);
  const found = useQuery({
    queryKey: ["settings", "subscription", id],
    enabled: known === undefined,
    placeholderData: undefined,
    queryFn: () => data(api.GET("/api/webhook-subscriptions/{subscription_id}", { params: { path: { subscription_id: id } } })),
  });
  const subscription = known ?? found.data;
  const back = <Button kind="quiet" icon={RiArrowLeftLine} className="-ml-3 mb-2" onClick={onClose}>{kind === "slack" ? "All channels" : "All webhooks"}</Button>;
  if (subscription) return <>{back}<One subscription={subscription} onGone={onClose} /></>;
  if (!found.isError) return <>{back}<Loading /><Skeleton as="card" className="mb-5 h-48" /><Skeleton as="rows" /></>;
  const gone = [404, 422].includes(asProblem(found.error).status);
  return (
    <>
      {back}
      <Card pad={false}>
        {gone ? <EmptyState icon={RiInboxLine} title="This one is no longer there" action={<Button kind="primary" onClick={onClose}>Show all</Button>}>Somebody has deleted it.</EmptyState> : <ErrorState error={found.error} onRetry={found.refetch} />}
      </Card>
    </>
  );
}

type Asks = "change" | "secret" | "delete" | null;

function One({ subscription, onGone }: { subscription: Subscription; onGone: () => void }) {
  const { id, kind } = subscription;
  const [, change] = useAddress();
  const [asks, setAsks] = useState<Asks>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const [testing, setTesting] = useState(false);
  const state = stateOf(subscription);
  const path = { path: { subscription_id: id } };
  const name = kindName(subscription);

  const test = async () => {
    setTesting(true);
    try {
      const sent = await data(api.POST("/api/webhook-subscriptions/{subscription_id}/test", { params: path }));
      change({ state: null });
      putDelivery(id, sent);
      void recount();
      if (sent.status === "delivered") toast.success("The test arrived", { detail: `${name} accepted it.` });
      else toast.error("The test did not arrive", { detail: answerWords(sent) });
    } catch (error) {
      toast.problem("The test was not sent", error);
    } finally {
      setTesting(false);
    }
  };
  const setActive = async (active: boolean) => {
    putSubscription({ ...subscription, active, paused_reason: active ? null : subscription.paused_reason });
    try {
      putSubscription(await data(api.PATCH("/api/webhook-subscriptions/{subscription_id}", { params: path, body: { active } })));
      toast.success(active ? "Sending again" : "Paused", { detail: active ? "What happens from now on is told." : "What happens meanwhile is not told later." });
    } catch (error) {
      putSubscription(subscription);
      toast.problem(active ? "It could not be switched on" : "It could not be paused", error);
    }
  };
  const renew = async () => setSecret((await data(api.POST("/api/webhook-subscriptions/{subscription_id}/secret", { params: path }))).secret);
  const remove = async () => {
    await api.DELETE("/api/webhook-subscriptions/{subscription_id}", { params: path });
    dropSubscription(id);
    toast.success(kind === "slack" ? "The channel is removed" : "The webhook is deleted");
    onGone();
  };
  const noun = kind === "slack" ? "channel" : "webhook";
  return (
    <>
      {secret && (
        <ShownOnce
          title="The new signing secret"
          items={[{ what: "the secret", label: "Signing secret", text: secret }]}
          warning="Copy it now: it is shown only this once. Everything is signed with it from now on, and the old one is no longer used."
          onDone={() => setSecret(null)}
        />
      )}
      <Card className="mb-6">
        <div className="mb-4 flex flex-wrap items-start justify-between gap-x-4 gap-y-3">
          <div className="min-w-0 flex-1 basis-72">
            <h3 className="font-serif text-lg font-semibold break-all">{name}</h3>
            <p className="text-soft">{eventsWords(subscription.events)}</p>
          </div>
          <div className="flex flex-wrap items-center gap-2">
            <Button onClick={() => void setActive(!subscription.active)}>{subscription.active ? "Pause" : "Resume"}</Button>
            <Button icon={RiSendPlaneLine} loading={testing} onClick={() => void test()}>Send a test</Button>
            <Button onClick={() => setAsks("change")}>Change</Button>
            <Menu
              label={`More for ${name}`}
              trigger={<IconButton label="More" icon={RiMoreLine} kind="secondary" />}
              items={[...(kind === "slack" ? [] : [{ label: "New secret", onSelect: () => setAsks("secret") }]), { label: kind === "slack" ? "Remove" : "Delete", danger: true, onSelect: () => setAsks("delete") }]}
            />
          </div>
        </div>
        {subscription.paused_reason && !subscription.active && (
          <div className="mb-4"><Note tone="bad">{subscription.paused_reason}</Note></div>
        )}
        <Facts
          items={[
            ["State", <Badge key="state" tone={state.tone} icon={state.icon}>{state.word}</Badge>],
            ["Sent to", <span key="url" className="break-all">{subscription.url}</span>],
            ["Last day", healthWords(subscription)],
            subscription.last_delivery_at ? ["Last message", <Time key="last" at={subscription.last_delivery_at} as="relative" />] : null,
            ["Added", <Time key="added" at={subscription.created_at} />],
          ]}
        />
      </Card>
      <Deliveries subscription={subscription} onTest={() => void test()} />
      {asks === "change" && (
        <SubscriptionForm
          kind={kind}
          before={subscription}
          onClose={() => setAsks(null)}
          onChanged={(after) => {
            putSubscription(after);
            setAsks(null);
            toast.success("Saved");
          }}
        />
      )}
      <ConfirmDialog
        open={asks === "secret"}
        onOpenChange={(open) => setAsks(open ? "secret" : null)}
        title="Make a new secret?"
        lead="Everything is signed with the new one at once. Until your system knows it, it will refuse what is sent; what it refused is tried again."
        action="Make a new secret"
        onConfirm={renew}
      />
      <ConfirmDialog
        open={asks === "delete"}
        onOpenChange={(open) => setAsks(open ? "delete" : null)}
        danger
        title={kind === "slack" ? "Remove this channel?" : "Delete this webhook?"}
        lead={`Nothing more is sent to it, and the list of what was sent is deleted, too. To stop for a while only, pause the ${noun} instead.`}
        action={kind === "slack" ? "Remove" : "Delete"}
        dismiss="Keep it"
        onConfirm={remove}
      />
    </>
  );
}
