// What outgoing webhooks tell of, and how they stand, in words. Pure.
import { RiAlertLine, RiCheckLine, RiPauseLine } from "@remixicon/react";
import type { Shape } from "@/api/client";
import { count, num } from "@/lib/format";
import { readable } from "@/lib/words";
import type { Icon } from "@/parts/Button";
import type { Tone } from "@/parts/Badge";
import type { Choice } from "./forms";

type Subscription = Shape<"Subscription">;
type Delivery = Shape<"Delivery">;
export type Kind = Subscription["kind"];
export type EventName = Subscription["events"][number];

const EVENTS: readonly Choice<EventName>[] = [
  { value: "import.completed", label: "A call is imported", help: "One message a call, when it is in the library." },
  { value: "import.failed", label: "A call could not be imported", help: "With the reason, and the step where it stopped." },
  { value: "job.completed", label: "An import is over", help: "One message a sync or upload, with what came of it." },
];

/** What can be told, for whom. */
export const eventsFor = (kind: Kind): readonly Choice<EventName>[] => (kind === "slack" ? EVENTS.filter((each) => each.value !== "import.completed") : EVENTS);

/** One event in words. */
export const eventWords = (type: string): string => (type === "test" ? "Test" : (EVENTS.find((each) => each.value === type)?.label ?? readable(type.replaceAll(".", " "))));

/** "Hears when a call is imported, and when an import is over." */
export function eventsWords(events: readonly EventName[]): string {
  const words = EVENTS.filter((each) => events.includes(each.value)).map((each) => `when ${each.label[0]!.toLowerCase()}${each.label.slice(1)}`);
  if (!words.length) return "Hears of nothing.";
  return `Hears ${words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words[0]}.`;
}

/** The last day in words: "212 messages delivered, 3 failed in the last 24 hours". */
export function healthWords({ delivered_24h: delivered, failed_24h: failed }: Pick<Subscription, "delivered_24h" | "failed_24h">): string {
  if (!delivered && !failed) return "Nothing was sent in the last 24 hours";
  if (!delivered) return `${count(failed, "message")} failed in the last 24 hours`;
  return `${count(delivered, "message")} delivered${failed ? `, ${num(failed)} failed` : ""} in the last 24 hours`;
}

/** How it stands: it sends, was paused by somebody, or stopped by itself. */
export function stateOf(subscription: Pick<Subscription, "active" | "paused_reason">): { tone: Tone; icon: Icon; word: string } {
  if (subscription.active) return { tone: "good", icon: RiCheckLine, word: "Active" };
  return subscription.paused_reason ? { tone: "bad", icon: RiAlertLine, word: "Stopped" } : { tone: "neutral", icon: RiPauseLine, word: "Paused" };
}

/** What it is called: its description, else its address. */
export const kindName = ({ description, kind, url }: Pick<Subscription, "description" | "kind" | "url">): string => description || (kind === "slack" ? `Channel at ${url}` : url);

/** What a receiver answered, in words. */
export function answerWords({ status, last_status_code: code, last_error: error }: Pick<Delivery, "status" | "last_status_code" | "last_error">): string {
  if (status === "delivered") return code ? `Accepted (${code})` : "Accepted";
  if (error) return error;
  return status === "failed" && code ? `Answered ${code}` : "Waits to be sent";
}
