// Badges. A state is always a colour, an icon and a word together.
import {
  RiAlertLine, RiCheckLine, RiCloseLine, RiForbidLine, RiHourglassLine, RiLoader4Line, RiPauseLine, RiRefreshLine, RiTimeLine,
} from "@remixicon/react";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";
import { readable } from "@/lib/words";
import type { Icon } from "./Button";

export type Tone = "neutral" | "good" | "warn" | "bad" | "info" | "accent";

const TONES: Record<Tone, string> = {
  neutral: "bg-sunken text-soft",
  good: "bg-good-wash text-good",
  warn: "bg-warn-wash text-warn",
  bad: "bg-bad-wash text-bad",
  info: "bg-info-wash text-info",
  accent: "bg-accent-wash text-accent",
};

export function Badge({ tone = "neutral", icon: IconPart, children, className, moving }: {
  tone?: Tone; icon?: Icon; children: ReactNode; className?: string; moving?: boolean;
}) {
  return (
    <span className={cn("inline-flex items-center gap-1 rounded-full px-2 py-0.5 text-xs font-semibold whitespace-nowrap", TONES[tone], className)}>
      {IconPart && <IconPart size={14} className={cn("shrink-0", moving && "motion-safe:animate-spin")} />}
      {children}
    </span>
  );
}

interface State { tone: Tone; icon: Icon; word: string; moving?: boolean }

const JOB: Record<string, State> = {
  pending: { tone: "neutral", icon: RiTimeLine, word: "Starting" },
  counting: { tone: "info", icon: RiLoader4Line, word: "Counting", moving: true },
  in_progress: { tone: "info", icon: RiLoader4Line, word: "Importing", moving: true },
  waiting: { tone: "warn", icon: RiHourglassLine, word: "Waiting" },
  completed: { tone: "good", icon: RiCheckLine, word: "Done" },
  partial: { tone: "warn", icon: RiAlertLine, word: "Done, some failed" },
  failed: { tone: "bad", icon: RiAlertLine, word: "Failed" },
  cancelled: { tone: "neutral", icon: RiForbidLine, word: "Cancelled" },
};
const SOURCE: Record<string, State> = {
  active: { tone: "good", icon: RiCheckLine, word: "Active" },
  paused: { tone: "neutral", icon: RiPauseLine, word: "Paused" },
  error: { tone: "bad", icon: RiAlertLine, word: "Needs you" },
};
const FAILED: Record<string, State> = {
  open: { tone: "bad", icon: RiAlertLine, word: "Failed" },
  retrying: { tone: "info", icon: RiRefreshLine, word: "Trying again" },
  resolved: { tone: "good", icon: RiCheckLine, word: "Imported since" },
  parked: { tone: "warn", icon: RiHourglassLine, word: "Set aside" },
  discarded: { tone: "neutral", icon: RiCloseLine, word: "Discarded" },
};
const CALL: Record<string, State> = {
  pending: { tone: "info", icon: RiLoader4Line, word: "On its way", moving: true },
  imported: { tone: "good", icon: RiCheckLine, word: "Imported" },
  updated: { tone: "good", icon: RiRefreshLine, word: "Updated" },
  skipped: { tone: "neutral", icon: RiCheckLine, word: "Already there" },
  waiting: { tone: "warn", icon: RiHourglassLine, word: "Waiting" },
  failed: { tone: "bad", icon: RiAlertLine, word: "Failed" },
  refused: { tone: "bad", icon: RiForbidLine, word: "Refused" },
  discarded: { tone: "neutral", icon: RiCloseLine, word: "Discarded" },
};
const DELIVERY: Record<string, State> = {
  pending: { tone: "info", icon: RiTimeLine, word: "On its way" },
  delivered: { tone: "good", icon: RiCheckLine, word: "Delivered" },
  failed: { tone: "bad", icon: RiAlertLine, word: "Failed" },
};
const STATES = { job: JOB, source: SOURCE, failed: FAILED, call: CALL, delivery: DELIVERY };
export type StateOf = keyof typeof STATES;

/** The word of a state, without the badge. */
export const stateWord = (of: StateOf, state: string): string => STATES[of][state]?.word ?? readable(state);

export function StatusBadge({ of, state, className }: { of: StateOf; state: string; className?: string }) {
  const known = STATES[of][state];
  return (
    <Badge tone={known?.tone} icon={known?.icon} moving={known?.moving} className={className}>
      {known?.word ?? readable(state)}
    </Badge>
  );
}
