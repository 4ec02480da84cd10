// API keys: who of the programs may come in, and what each may do.
import { RiAddLine, RiKey2Line } from "@remixicon/react";
import { useState } from "react";
import { api, data, type Shape } from "@/api/client";
import { prependPages } from "@/api/live";
import { queryClient, useList, useSession, type Pages } from "@/api/queries";
import { Button, ConfirmDialog, Disclosure, EmptyState, Field, TextInput, Time, toast } from "@/parts";
import { DataTable, type Column } from "@/parts/DataTable";
import { without } from "../jobs/change";
import { atField, Choices, elsewhere, FormDialog, useSending, type Choice } from "./forms";
import { ShownOnce } from "./ShownOnce";

type Key = Shape<"Key">;
type NewKey = Shape<"NewKey">;
type Scope = Key["scopes"][number];
const LIST = ["settings", "keys"] as const;

const SCOPES: readonly Choice<Scope>[] = [
  { value: "read", label: "Read", help: "See calls, recordings, imports and sources." },
  { value: "write", label: "Change", help: "Start imports, upload, retry, connect sources, erase calls." },
  { value: "admin", label: "Manage", help: "Keys, people, settings, webhooks and replays, as far as you may yourself." },
];
const scopeWord = (scope: Scope) => SCOPES.find((each) => each.value === scope)?.label ?? scope;

export function Keys() {
  const role = useSession().data?.role;
  const [asks, setAsks] = useState(false);
  const [made, setMade] = useState<NewKey | null>(null);
  const [revoking, setRevoking] = useState<Key | null>(null);
  const list = useList<Key>(LIST, (cursor) => data(api.GET("/api/keys", { params: { query: { limit: 50, cursor: cursor ?? undefined } } })), true, true);
  const add = (key: NewKey) => {
    const kept: Key = { id: key.id, name: key.name, prefix: key.prefix, scopes: key.scopes, created_at: key.created_at, last_used_at: key.last_used_at };
    queryClient.setQueryData<Pages<Key>>(LIST, (pages) => (pages ? prependPages(pages, kept) : pages));
    setMade(key);
    setAsks(false);
  };
  const revoke = async (key: Key) => {
    await api.DELETE("/api/keys/{key_id}", { params: { path: { key_id: key.id } } });
    queryClient.setQueryData<Pages<Key>>(LIST, (pages) => (pages ? without(pages, (each) => each.id === key.id) : pages));
    if (made?.id === key.id) setMade(null);
    toast.success("The key is revoked", { detail: `${key.name} is refused from now on.` });
  };
  const columns: Column<Key>[] = [
    { id: "name", header: "Key", width: "minmax(8rem, 2fr)", card: "title", cell: (key) => <Name name={key.name} prefix={key.prefix} /> },
    { id: "may", header: "May", width: "minmax(6rem, 1.2fr)", cell: (key) => <span className="text-sm">{key.scopes.map(scopeWord).join(", ")}</span> },
    { id: "made", header: "Made", width: "7rem", from: "md", cell: (key) => <Time at={key.created_at} as="day" className="text-sm" /> },
    { id: "used", header: "Last used", width: "7rem", cell: (key) => (key.last_used_at ? <Time at={key.last_used_at} as="relative" className="text-sm" /> : <span className="text-sm text-soft">Never</span>) },
    { id: "revoke", header: "Revoke", width: "6rem", align: "end", card: "plain", cell: (key) => <Button size="sm" aria-label={`Revoke ${key.name}`} onClick={() => setRevoking(key)}>Revoke</Button> },
  ];
  const none = list.data?.pages[0]?.items.length === 0;
  const create = <Button kind={made ? "secondary" : "primary"} icon={RiAddLine} onClick={() => setAsks(true)}>New key</Button>;
  return (
    <>
      {made && (
        <ShownOnce
          title={`The key for ${made.name}`}
          items={[{ what: "the key", label: "Key", text: made.key }]}
          warning="Copy it now and keep it where only your program reads it. It is shown only this once; whoever has it may do what it may do."
          onDone={() => setMade(null)}
        >
          <Disclosure label="How a program uses it">
            <p className="mb-2 text-soft">It goes into a header of each request. What can be called is described in the <a className="link" href="/docs">API reference</a>.</p>
            {/* The example scrolls by itself on phones, so it must be reachable by keyboard. */}
            {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
            <pre tabIndex={0} aria-label="An example" className="overflow-x-auto rounded-md bg-sunken p-3 text-sm"><code>{`curl -H "Authorization: Bearer ${made.prefix}…" \\\n  ${window.location.origin}/api/calls`}</code></pre>
          </Disclosure>
        </ShownOnce>
      )}
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <p className="text-soft">{role === "owner" ? "You see the keys of everybody in this workspace." : "You see your own keys; an owner sees everybody's."}</p>
        {!none && create}
      </div>
      <DataTable<Key>
        label="API keys"
        columns={columns}
        query={list}
        rowId={(key) => key.id}
        rowHeight={60}
        empty={<EmptyState icon={RiKey2Line} title="There is no key yet" action={create}>Make one for each program that talks to callstream.</EmptyState>}
      />
      {asks && <Create onClose={() => setAsks(false)} onMade={add} />}
      <ConfirmDialog
        open={revoking !== null}
        onOpenChange={(open) => !open && setRevoking(null)}
        danger
        title={`Revoke ${revoking?.name ?? "this key"}?`}
        lead="The program that uses it is refused at once. This cannot be undone; you can make a new key at any time."
        action="Revoke"
        dismiss="Keep it"
        onConfirm={() => (revoking ? revoke(revoking) : undefined)}
      />
    </>
  );
}

function Name({ name, prefix }: { name: string; prefix: string }) {
  return (
    <span className="block min-w-0">
      <span className="block truncate font-semibold" title={name}>{name}</span>
      <code className="block truncate text-sm font-normal text-soft">{prefix}…</code>
    </span>
  );
}

function Create({ onClose, onMade }: { onClose: () => void; onMade: (key: NewKey) => void }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<Scope[]>(["read", "write"]);
  const [lacking, setLacking] = useState(false);
  const { busy, problem, send } = useSending();
  const submit = () => {
    setLacking(true);
    if (!name.trim() || !scopes.length) return;
    void send(async () => onMade(await data(api.POST("/api/keys", { body: { name: name.trim(), scopes } }))));
  };
  return (
    <FormDialog open onClose={onClose} title="New key" lead="You see it once, right after it is made." action="Make the key" busy={busy} error={elsewhere(problem, ["name", "scopes"])} onSubmit={submit}>
      <Field label="Name" help="What it is for, so that you know it again: “Nightly report”." error={lacking && !name.trim() ? "Give the key a name." : atField(problem, "name")}>
        <TextInput value={name} maxLength={100} autoComplete="off" onChange={(event) => setName(event.target.value)} />
      </Field>
      <Choices
        label="What it may do"
        choices={SCOPES}
        chosen={scopes}
        onChange={setScopes}
        error={lacking && !scopes.length ? "Choose at least one thing that it may do." : atField(problem, "scopes")}
      />
    </FormDialog>
  );
}
