// People: who has access to this workspace, and what each may do.
import { RiGroupLine, RiMoreLine, RiUserAddLine } from "@remixicon/react";
import { useState } from "react";
import { api, data, type Shape } from "@/api/client";
import { patchPages, prependPages } from "@/api/live";
import { queryClient, useList, useSession, type Pages } from "@/api/queries";
import { roleWords } from "@/lib/words";
import { Badge, Button, ConfirmDialog, EmptyState, Field, IconButton, Menu, Select, TextInput, Time, toast } from "@/parts";
import { DataTable, type Column } from "@/parts/DataTable";
import { without } from "../jobs/change";
import { atField, elsewhere, FormDialog, OneOf, useSending, type Choice } from "./forms";
import { OnlyOwners } from "./Gate";
import { ShownOnce } from "./ShownOnce";

type Member = Shape<"Member">;
type Role = Member["role"];
const LIST = ["settings", "members"] as const;

const ROLES: readonly Choice<Role>[] = [
  { value: "member", label: "Member", help: "Sees everything, connects sources, imports and uploads." },
  { value: "support", label: "Support", help: "Also imports on behalf of others, replays, sets webhooks and reads the audit log." },
  { value: "owner", label: "Owner", help: "Decides about everything: people, their roles, and the processing window, too." },
];
const OPTIONS = ROLES.map((each) => ({ value: each.value, label: each.label }));

export function People() {
  const session = useSession().data;
  const owner = session?.role === "owner";
  const [asks, setAsks] = useState(false);
  const [link, setLink] = useState<{ name: string; link: string } | null>(null);
  const [removing, setRemoving] = useState<Member | null>(null);
  const [own, setOwn] = useState<{ member: Member; role: Role } | null>(null);
  const list = useList<Member>(LIST, (cursor) => data(api.GET("/api/members", { params: { query: { limit: 50, cursor: cursor ?? undefined } } })), true, true);
  const put = (member: Member) => queryClient.setQueryData<Pages<Member>>(LIST, (pages) => (pages ? patchPages(pages, (each) => each.user_id === member.user_id, () => member) : pages));
  const path = (member: Member) => ({ path: { user_id: member.user_id } });

  const write = async (member: Member, role: Role) => {
    put({ ...member, role });
    try {
      put(await data(api.PATCH("/api/members/{user_id}", { params: path(member), body: { role } })));
    } catch (error) {
      put(member);
      throw error;
    }
  };
  const setRole = async (member: Member, role: Role) => {
    try {
      await write(member, role);
      toast.success(`${member.name} is now ${roleWords(role)}`, { action: { label: "Undo", onClick: () => void setRole({ ...member, role }, member.role) } });
    } catch (error) {
      toast.problem(`${member.name} stays ${roleWords(member.role)}`, error);
    }
  };
  const changeOwn = async () => {
    if (!own) return;
    await write(own.member, own.role);
    await queryClient.invalidateQueries({ queryKey: ["session"] });
  };
  const newLink = async (member: Member) => {
    try {
      const made = await data(api.POST("/api/members/{user_id}/sign-in-link", { params: path(member) }));
      setLink({ name: member.name, link: made.sign_in_link });
    } catch (error) {
      toast.problem("No link could be made", error);
    }
  };
  const remove = async (member: Member) => {
    await api.DELETE("/api/members/{user_id}", { params: path(member) });
    queryClient.setQueryData<Pages<Member>>(LIST, (pages) => (pages ? without(pages, (each) => each.user_id === member.user_id) : pages));
    setLink(null);
    toast.success(`${member.name} is removed`, { detail: "Their keys and sign-ins ended. What they brought in stays." });
  };
  const add = ({ sign_in_link, ...member }: Shape<"NewMember">) => {
    queryClient.setQueryData<Pages<Member>>(LIST, (pages) => (pages ? prependPages(pages, member) : pages));
    setLink({ name: member.name, link: sign_in_link });
    setAsks(false);
  };

  const columns: Column<Member>[] = [
    { id: "name", header: "Name", width: "minmax(12rem, 2fr)", card: "title", cell: (each) => <Person member={each} you={each.user_id === session?.user_id} /> },
    {
      id: "role", header: "Role", width: "10rem",
      cell: (each) =>
        owner ? (
          <Select
            aria-label={`Role of ${each.name}`}
            value={each.role}
            options={OPTIONS}
            onChange={(event) => {
              const role = event.target.value as Role;
              if (each.user_id === session?.user_id) setOwn({ member: each, role });
              else void setRole(each, role);
            }}
          />
        ) : (
          roleWords(each.role)
        ),
    },
    { id: "since", header: "Since", width: "8rem", from: "md", cell: (each) => <Time at={each.created_at} as="day" className="text-sm" /> },
    ...(owner
      ? [{
          id: "more", header: "More", width: "3rem", align: "end",
          cell: (each: Member) => (
            <Menu
              label={`More for ${each.name}`}
              trigger={<IconButton label={`More for ${each.name}`} icon={RiMoreLine} />}
              items={[{ label: "New sign-in link", onSelect: () => void newLink(each) }, null, { label: "Remove", danger: true, onSelect: () => setRemoving(each) }]}
            />
          ),
        } satisfies Column<Member>]
      : []),
  ];
  const invite = <Button kind={link ? "secondary" : "primary"} icon={RiUserAddLine} onClick={() => setAsks(true)}>Invite somebody</Button>;
  return (
    <>
      {!owner && <OnlyOwners what="invite people, change roles or remove somebody" />}
      {link && (
        <ShownOnce
          title={`The sign-in link for ${link.name}`}
          items={[{ what: "the link", label: "Sign-in link", text: link.link }]}
          warning="Copy it now and send it to them. It works once, within the next hour, and is not shown again; you can make another one at any time."
          onDone={() => setLink(null)}
        />
      )}
      {owner && <div className="mb-4 flex justify-end">{invite}</div>}
      <DataTable<Member>
        label="People"
        columns={columns}
        query={list}
        rowId={(each) => each.user_id}
        rowHeight={64}
        empty={<EmptyState icon={RiGroupLine} title="Nobody is here yet" action={owner ? invite : undefined}>Invite the people who work with these calls.</EmptyState>}
      />
      {asks && <Invite onClose={() => setAsks(false)} onMade={add} />}
      <ConfirmDialog
        open={own !== null}
        onOpenChange={(open) => !open && setOwn(null)}
        danger
        title="Give up being an owner?"
        lead={`Your role would be ${own ? roleWords(own.role) : ""} at once, and only another owner could make you one again.`}
        action="Give it up"
        dismiss="Stay owner"
        onConfirm={changeOwn}
      />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        danger
        title={`Remove ${removing?.name ?? "this person"}?`}
        lead="Their keys, sign-ins and links end at once. The sources they connected and the calls they brought in stay."
        action="Remove"
        dismiss="Keep"
        onConfirm={() => (removing ? remove(removing) : undefined)}
      />
    </>
  );
}

function Person({ member, you }: { member: Member; you: boolean }) {
  return (
    <span className="block min-w-0">
      <span className="flex items-center gap-2"><span className="truncate font-semibold">{member.name}</span>{you && <Badge>You</Badge>}</span>
      {member.email && <span className="block truncate text-sm font-normal text-soft">{member.email}</span>}
    </span>
  );
}

function Invite({ onClose, onMade }: { onClose: () => void; onMade: (made: Shape<"NewMember">) => void }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("member");
  const [lacking, setLacking] = useState(false);
  const { busy, problem, send } = useSending();
  const odd = email.trim() !== "" && !/^[^@\s]+@[^@\s]+$/.test(email.trim());
  const submit = () => {
    setLacking(true);
    if (!name.trim() || odd) return;
    void send(async () => onMade(await data(api.POST("/api/members", { body: { name: name.trim(), email: email.trim() || null, role } }))));
  };
  return (
    <FormDialog open onClose={onClose} title="Invite somebody" lead="You get a link that signs them in; send it to them yourself." action="Make the link" busy={busy} error={elsewhere(problem, ["name", "email"])} onSubmit={submit}>
      <Field label="Name" error={lacking && !name.trim() ? "Enter a name." : atField(problem, "name")}>
        <TextInput value={name} maxLength={100} autoComplete="off" onChange={(event) => setName(event.target.value)} />
      </Field>
      <Field label="Email" optional help="Where people sign in with the company's account, they are known by it." error={lacking && odd ? "Enter an address like mila@example.com." : atField(problem, "email")}>
        <TextInput type="email" value={email} maxLength={320} autoComplete="off" onChange={(event) => setEmail(event.target.value)} />
      </Field>
      <OneOf label="What they may do" name="role" choices={ROLES} chosen={role} onChange={setRole} />
    </FormDialog>
  );
}
