// The messages of one outgoing webhook: how each stands, how often it was tried, what the other side answered, and its text.
import { RiMailSendLine, RiRefreshLine, RiSearchLine } from "@remixicon/react";
import { useState } from "react";
import { api, asProblem, data } from "@/api/client";
import { useAddress } from "@/lib/address";
import { count } from "@/lib/format";
import { jobTypeWords } from "@/lib/words";
import { Button, Copy, EmptyState, Facts, Field, Problem, Select, Sheet, StatusBadge, Time, toast } from "@/parts";
import { DataTable, type Column } from "@/parts/DataTable";
import { putDelivery, useDeliveries, type Delivery, type Subscription } from "./deliveries";
import { answerWords, eventWords } from "./events";

const STATES = [
  { value: "", label: "Any state" },
  { value: "delivered", label: "Delivered" },
  { value: "pending", label: "On its way" },
  { value: "failed", label: "Failed" },
];
const stateOf = (text: string | null): Delivery["status"] | null => (text === "delivered" || text === "pending" || text === "failed" ? text : null);

const COLUMNS: readonly Column<Delivery>[] = [
  { id: "what", header: "Message", width: "minmax(11rem, 1.6fr)", card: "title", cell: (each) => <span className="block truncate font-medium" title={about(each) ?? undefined}>{eventWords(each.event_type)}{about(each) && <span className="block truncate text-sm font-normal text-soft">{about(each)}</span>}</span> },
  { id: "state", header: "State", width: "8rem", cell: (each) => <StatusBadge of="delivery" state={each.status} /> },
  { id: "tries", header: "Tries", width: "4rem", align: "end", cell: (each) => each.attempts },
  { id: "answer", header: "Answer", width: "minmax(10rem, 1.6fr)", card: "plain", cell: (each) => <Answer delivery={each} /> },
  { id: "when", header: "When", width: "8rem", cell: (each) => <Time at={each.created_at} as="relative" className="text-sm" /> },
];

/** What a message is about: the title of its call, or what the source calls it. */
function about({ body }: Delivery): string | null {
  const inner = body.data as Record<string, unknown> | undefined;
  const found = inner?.title ?? inner?.external_id;
  if (typeof found === "string") return found;
  return typeof inner?.job_type === "string" ? jobTypeWords(inner.job_type) : null;
}

function Answer({ delivery }: { delivery: Delivery }) {
  return (
    <span className="block min-w-0 text-sm text-soft">
      <span className="line-clamp-2" title={answerWords(delivery)}>{answerWords(delivery)}</span>
      {delivery.status === "pending" && delivery.attempts > 0 && <>Next try <Time at={delivery.next_attempt_at} as="relative" /></>}
    </span>
  );
}

export function Deliveries({ subscription, onTest }: { subscription: Subscription; onTest: () => void }) {
  const [address, change] = useAddress();
  const state = stateOf(address.get("state"));
  const list = useDeliveries(subscription.id, state);
  const open = address.get("message");
  const shown = list.data?.pages.flatMap((page) => page.items).find((each) => each.id === open);
  return (
    <>
      <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
        <h3 className="text-lg font-semibold">Messages</h3>
        <Field label="State" hideLabel className="w-44">
          <Select value={state ?? ""} onChange={(event) => change({ state: event.target.value })} options={STATES} />
        </Field>
      </div>
      <DataTable<Delivery>
        label="Messages"
        columns={COLUMNS}
        query={list}
        rowId={(each) => each.id}
        onRowOpen={(each) => change({ message: each.id }, { push: true })}
        empty={
          state ? (
            <EmptyState icon={RiSearchLine} title="No message is in this state" action={<Button onClick={() => change({ state: null })}>Show all messages</Button>} />
          ) : (
            <EmptyState icon={RiMailSendLine} title="Nothing has been sent yet" action={<Button kind="primary" onClick={onTest}>Send a test</Button>}>
              The next thing that happens is told. A test shows at once whether the other side takes it.
            </EmptyState>
          )
        }
      />
      <Sheet open={shown !== undefined} onOpenChange={(next) => !next && change({ message: null })} title={shown ? eventWords(shown.event_type) : "Message"}>
        {shown && <Message key={shown.id} delivery={shown} subscription={subscription} />}
      </Sheet>
    </>
  );
}

function Message({ delivery, subscription }: { delivery: Delivery; subscription: Subscription }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const text = JSON.stringify(delivery.body, null, 2);
  const resend = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const params = { path: { subscription_id: subscription.id, delivery_id: delivery.id } };
      putDelivery(subscription.id, await data(api.POST("/api/webhook-subscriptions/{subscription_id}/deliveries/{delivery_id}/resend", { params })));
      toast.success("On its way again", { detail: "It carries the same number, so that the other side knows it again." });
    } catch (error) {
      setProblem(asProblem(error).sentence);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="grid gap-5">
      <Facts
        items={[
          ["State", <StatusBadge key="state" of="delivery" state={delivery.status} />],
          ["Answer", answerWords(delivery)],
          ["Tries", delivery.attempts ? count(delivery.attempts, "try", "tries") : "None yet"],
          delivery.status === "pending" && delivery.next_attempt_at ? ["Next try", <Time key="next" at={delivery.next_attempt_at} as="relative" />] : null,
          ["Happened", <Time key="at" at={delivery.created_at} />],
          delivery.delivered_at ? ["Delivered", <Time key="done" at={delivery.delivered_at} />] : null,
          ["Number", <code key="id" className="text-sm break-all">{delivery.event_id}</code>],
        ]}
      />
      {delivery.event_type !== "test" && (
        <div className="grid gap-3">
          <div><Button icon={RiRefreshLine} loading={busy} disabled={!subscription.active} onClick={() => void resend()}>Resend</Button></div>
          {!subscription.active && <p className="text-sm text-soft">It is paused. Switch it on to send this again.</p>}
          {problem && <Problem sentence={problem} />}
        </div>
      )}
      <div className="min-w-0">
        <div className="flex items-center justify-between gap-3"><h3 className="font-semibold">What is sent</h3><Copy text={text} what="the message" /></div>
        {/* It scrolls by itself, so it must be reachable by keyboard. */}
        {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <pre tabIndex={0} aria-label="What is sent" className="max-h-96 overflow-auto rounded-md bg-sunken p-3 text-sm"><code>{text}</code></pre>
      </div>
    </div>
  );
}
