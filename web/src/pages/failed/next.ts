// What to do about a failed import, in a sentence, and where it is done. Pure; the present is an argument.
import { moment, timeOfDay } from "@/lib/format";
import type { Failed } from "./filters";

export interface Advice {
  sentence: string;
  /** Where it is done. */
  to?: string;
  label?: string;
}

const HUB = { to: "/", label: "Go to the Import Hub" };
const SIGN_IN: ReadonlySet<string> = new Set([
  "access_revoked", "credential_missing", "credential_refused", "encryption_outdated", "no_credential", "permission_missing", "sign_in_refused",
]);

function when(at: string, now: Date): string {
  const next = new Date(at);
  if (next <= now) return "in a moment";
  return `at ${next.toDateString() === now.toDateString() ? timeOfDay(next) : moment(next)}`;
}

type Known = Pick<Failed, "status" | "kind" | "reason" | "attempts" | "next_retry_at" | "source_app">;

/** What to do next about `failed`; `source` is the name of where it comes from. */
export function nextStep(failed: Known, source: string, now: Date): Advice {
  if (failed.status === "resolved") return { sentence: "It has come through since. There is nothing left to do." };
  if (failed.status === "discarded") return { sentence: "It was let go. Should the call be sent again, it is imported then." };
  if (failed.status === "retrying") return { sentence: "It is on its way again. When it comes through, it leaves this list by itself." };
  if (failed.next_retry_at) return { sentence: `You need not do anything: it is tried again by itself ${when(failed.next_retry_at, now)}. Retry tries at once.` };
  if (SIGN_IN.has(failed.reason)) return { sentence: `Sign in to ${source} again in the Import Hub, then come back and retry.`, ...HUB };
  if (failed.reason === "no_key") return { sentence: "Whoever runs callstream has to set an OpenAI key. Retry afterwards: the call is kept." };
  if (failed.reason === "quota_used_up") return { sentence: "Wait until the month is over or change the plan, then retry.", to: "/settings/usage", label: "See what is used" };
  if (failed.kind === "config") return { sentence: "Put right what the sentence above says, then retry. The call is kept until then." };
  if (failed.kind === "transient") return { sentence: `It was tried ${failed.attempts === 1 ? "once" : `${failed.attempts} times`}, and callstream no longer tries by itself. Retry once ${source} is well again.` };
  if (failed.kind === "bug") return { sentence: "This is a fault in callstream, not in the call. The call is kept: retry it after the next update." };
  if (failed.source_app === "upload") return { sentence: "Mend the file and upload it again. Then discard this one.", ...HUB };
  return { sentence: `Correct the call at ${source} and sync again; it then comes anew. If it cannot be corrected, discard it.`, ...HUB };
}
