// The audit log in words: what was done as a sentence, and what stands beside it. Pure.
import type { Shape } from "@/api/client";
import { count } from "@/lib/format";
import { jobTypeWords, readable, roleWords } from "@/lib/words";

export type Entry = Shape<"Entry">;

/** What the log can be narrowed to: the beginning of an action. */
export const KINDS: readonly { value: string; label: string }[] = [
  { value: "source", label: "Sources" },
  { value: "import", label: "Imports" },
  { value: "admin_import", label: "Imports on behalf of somebody" },
  { value: "failed_import", label: "Failed imports, one" },
  { value: "failed_imports", label: "Failed imports, many" },
  { value: "replay", label: "Replays" },
  { value: "call", label: "Calls erased" },
  { value: "key", label: "API keys" },
  { value: "webhook_endpoint", label: "Incoming addresses" },
  { value: "webhook_subscription", label: "Webhooks and Slack" },
  { value: "member", label: "People" },
  { value: "session", label: "Sign-ins" },
  { value: "settings", label: "Settings" },
  { value: "plan", label: "Plan" },
];

type Detail = Entry["detail"];
const text = (detail: Detail, name: string): string | null => (typeof detail[name] === "string" && detail[name] !== "" ? (detail[name] as string) : null);
const named = (detail: Detail, noun: string): string => {
  const name = text(detail, "name");
  return name ? `${noun} “${name}”` : noun;
};

const SENTENCES: Record<string, (detail: Detail) => string> = {
  "admin_import.started": () => "Started an import on behalf of somebody",
  "call.erased": () => "Erased a call for good",
  "failed_import.discarded": () => "Discarded a failed import",
  "failed_import.retried": () => "Retried a failed import",
  "failed_imports.retried": () => "Retried many failed imports",
  "import.cancelled": () => "Cancelled an import",
  "import.retried": () => "Retried the failed calls of an import",
  "import.started": () => "Started an import",
  "key.created": (detail) => `Made the ${named(detail, "API key")}`,
  "key.revoked": (detail) => `Revoked the ${named(detail, "API key")}`,
  "member.added": (detail) => `Invited ${text(detail, "name") ?? "somebody"}${text(detail, "role") ? ` as ${roleWords(text(detail, "role")!)}` : ""}`,
  "member.removed": (detail) => `Removed ${text(detail, "name") ?? "somebody"}`,
  "member.role_changed": (detail) => `Changed a role${text(detail, "before") && text(detail, "role") ? ` from ${roleWords(text(detail, "before")!)} to ${roleWords(text(detail, "role")!)}` : ""}`,
  "member.sign_in_link_made": () => "Made a sign-in link for somebody",
  "plan.changed": (detail) => `Changed the plan${text(detail, "plan") ? ` to “${text(detail, "plan")}”` : ""}`,
  "replay.cancelled": () => "Cancelled a replay",
  "replay.started": () => "Started a replay",
  "session.created": () => "Signed in",
  "member.joined": () => "Came in with the company's account",
  "settings.changed": (detail) => (detail.processing_window === null ? "Removed the processing window" : "Set the processing window"),
  "source.call_asked": () => "Asked a source for one call",
  "source.changed": () => "Changed a source",
  "source.connected": () => "Connected a source",
  "source.disconnected": () => "Disconnected a source",
  "source.paused": () => "Paused a source",
  "source.reconnected": () => "Connected a source again",
  "source.resumed": () => "Resumed a source",
  "source.synced": () => "Synced a source",
  "source.verified": () => "Checked the sign-in of a source",
  "webhook_endpoint.closed": () => "Closed an incoming address",
  "webhook_endpoint.created": () => "Made an incoming address",
  "webhook_endpoint.secret_changed": () => "Changed the secret of an incoming address",
  "webhook_subscription.changed": (detail) => (detail.active === false ? "Paused a webhook" : detail.active === true ? "Resumed a webhook" : "Changed a webhook"),
  "webhook_subscription.created": (detail) => (detail.kind === "slack" ? "Added a Slack channel" : `Added a webhook${text(detail, "host") ? ` to ${text(detail, "host")}` : ""}`),
  "webhook_subscription.deleted": (detail) => (detail.kind === "slack" ? "Removed a Slack channel" : "Deleted a webhook"),
  "webhook_subscription.resent": () => "Sent a message of a webhook once more",
  "webhook_subscription.secret_changed": () => "Made a new secret for a webhook",
};

/** What was done, as a sentence: "Made the API key “Nightly report”". */
export function doneWords({ action, detail }: Pick<Entry, "action" | "detail">): string {
  const known = SENTENCES[action];
  return known ? known(detail) : readable(action.replaceAll(".", " "));
}

/** What it was done to, where that is known by a name. `names`: what things are called, by their id or platform. */
export function aboutWords({ action, target, detail }: Pick<Entry, "action" | "target" | "detail">, names: ReadonlyMap<string, string>): string | null {
  const platform = text(detail, "platform");
  if ((action === "member.added" || action === "member.removed") && text(detail, "name")) return null; // said already
  const customer = text(detail, "customer");
  const parts = [
    customer && names.get(customer),
    names.get(target) ?? (platform ? (names.get(platform) ?? readable(platform)) : null),
    names.has(target) ? null : text(detail, "account"),
    text(detail, "job_type") && jobTypeWords(text(detail, "job_type")!),
    action !== "webhook_subscription.created" && text(detail, "host"),
    action === "call.erased" || action === "source.call_asked" ? (text(detail, "external_id") ?? text(detail, "call")) : null,
    typeof detail.count === "number" ? count(detail.count, "call") : null,
  ];
  return parts.filter(Boolean).join(" · ") || null;
}

/** Where the thing itself can be looked at. */
export function placeOf({ action, target }: Pick<Entry, "action" | "target">): { to: string; label: string } | null {
  if (action === "import.started" || action === "import.retried" || action === "import.cancelled") return { to: `/jobs/${target}`, label: "Show the import" };
  if (action.startsWith("admin_import.")) return { to: `/admin?job=${target}`, label: "Show the import" };
  if (action.startsWith("failed_import.")) return { to: `/failed/${target}`, label: "Show the failed import" };
  if (action.startsWith("webhook_subscription.") && !action.endsWith(".deleted")) return { to: `/settings/webhooks?open=${target}`, label: "Show the webhook" };
  return null;
}

/** Who did it. */
export const actorWords = ({ actor, actor_name: name }: Pick<Entry, "actor" | "actor_name">): string =>
  name ?? (actor.startsWith("user:") ? "Somebody who has left" : actor === "system" ? "callstream itself" : readable(actor));

/** What stands beside it, one line a fact; a fact within a fact as JSON. */
export function detailsOf(detail: Detail): [string, string][] {
  return Object.entries(detail)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => [readable(name), typeof value === "string" ? value : typeof value === "number" || typeof value === "boolean" ? String(value) : Array.isArray(value) && value.every((each) => typeof each === "string") ? value.join(", ") : JSON.stringify(value)]);
}
