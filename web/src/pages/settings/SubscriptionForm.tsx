// The form of an outgoing webhook or a Slack channel: to make one, and to change it.
import { useState } from "react";
import { api, data, type Shape } from "@/api/client";
import { Disclosure, Field, TextInput } from "@/parts";
import type { Subscription } from "./deliveries";
import { eventsFor, type EventName, type Kind } from "./events";
import { atField, Choices, elsewhere, FormDialog, useSending } from "./forms";

const WORDS = {
  standard: { title: "Add a webhook", address: "Address of your system", hint: "https://example.com/callstream", help: "It must be reachable from here and begin with https://.", name: "What is it?", example: "“Reporting”, “CRM”" },
  slack: { title: "Add a channel", address: "Address from Slack", hint: "https://hooks.slack.com/services/…", help: "It is kept encrypted and never shown again: whoever has it may write into the channel.", name: "Which channel?", example: "“#calls”" },
};

interface Props {
  kind: Kind;
  onClose: () => void;
}

export function SubscriptionForm({ kind, before, onClose, onMade, onChanged }: Props & (
  | { before?: undefined; onMade: (made: Shape<"NewSubscription">) => void; onChanged?: undefined }
  | { before: Subscription; onMade?: undefined; onChanged: (after: Subscription) => void }
)) {
  const words = WORDS[kind];
  const able = eventsFor(kind);
  const [url, setUrl] = useState(before && kind === "standard" ? before.url : "");
  const [description, setDescription] = useState(before?.description ?? "");
  const [events, setEvents] = useState<EventName[]>(before?.events ?? able.map((each) => each.value));
  const [lacking, setLacking] = useState(false);
  const { busy, problem, send } = useSending();
  const keepsAddress = before !== undefined && kind === "slack" && !url.trim();
  const submit = () => {
    setLacking(true);
    if ((!url.trim() && !keepsAddress) || !events.length) return;
    void send(async () => {
      if (before) {
        const address = keepsAddress || url.trim() === before.url ? {} : { url: url.trim() };
        const body = { ...address, events, description: description.trim() };
        onChanged(await data(api.PATCH("/api/webhook-subscriptions/{subscription_id}", { params: { path: { subscription_id: before.id } }, body })));
      } else {
        onMade(await data(api.POST("/api/webhook-subscriptions", { body: { url: url.trim(), kind, events, description: description.trim() } })));
      }
    });
  };
  return (
    <FormDialog
      open
      onClose={onClose}
      title={before ? "Change what is sent" : words.title}
      action={before ? "Save" : words.title}
      busy={busy}
      error={elsewhere(problem, ["url", "events", "description"])}
      onSubmit={submit}
    >
      <Field label={words.address} help={before && kind === "slack" ? "Leave it empty to keep the one you gave." : words.help} error={lacking && !url.trim() && !keepsAddress ? "Enter the address." : atField(problem, "url")}>
        <TextInput type="url" inputMode="url" value={url} placeholder={words.hint} autoComplete="off" spellCheck={false} maxLength={2000} onChange={(event) => setUrl(event.target.value)} />
      </Field>
      {kind === "slack" && <HowToSlack />}
      <Field label={words.name} optional help={`So that you know it again: ${words.example}.`} error={atField(problem, "description")}>
        <TextInput value={description} autoComplete="off" maxLength={200} onChange={(event) => setDescription(event.target.value)} />
      </Field>
      <Choices label="Tell it when" choices={able} chosen={events} onChange={setEvents} error={lacking && !events.length ? "Choose at least one." : atField(problem, "events")} />
    </FormDialog>
  );
}

function HowToSlack() {
  return (
    <Disclosure label="Where to find it" className="-mt-3">
      <ol className="grid list-decimal gap-1 rounded-md bg-sunken py-3 pr-3 pl-8 text-sm">
        <li>Open <a className="link" href="https://api.slack.com/apps" target="_blank" rel="noreferrer">api.slack.com/apps</a> and choose your app, or “Create New App”, “From scratch”.</li>
        <li>Under “Incoming Webhooks”, switch them on and choose “Add New Webhook to Workspace”.</li>
        <li>Choose the channel, and copy the address that appears. It begins with <code>https://hooks.slack.com/services/</code>.</li>
      </ol>
    </Disclosure>
  );
}
