// Progress, drawn like a level on a desk: a channel with quiet ticks. The words beside it say the same.
import { cn } from "@/lib/cn";
import { num, percent } from "@/lib/format";

/** `value` of `max`; without `max` it only says that something goes on. `label` names it for screen readers. */
export function Progress({ value, max, label, text, hideText, tone = "accent", still, className }: {
  value?: number; max?: number | null; label: string; /** The words shown; default a percentage. */ text?: string; /** Says it to screen readers only; the words stand elsewhere. */ hideText?: boolean; tone?: "accent" | "good" | "bad"; /** It rests: nothing moves while there is no `max`. */ still?: boolean; className?: string;
}) {
  const known = max !== undefined && max !== null && max > 0 && value !== undefined;
  const share = known ? Math.min(1, Math.max(0, value / max)) : 0;
  const fill = { accent: "bg-accent", good: "bg-good", bad: "bg-bad" }[tone];
  const words = text ?? (known ? percent(share) : undefined);
  return (
    <div className={cn("min-w-0", className)}>
      {words !== undefined && !hideText && <div className="mb-1.5 text-sm text-soft">{words}</div>}
      <div
        role="progressbar"
        aria-label={label}
        aria-valuemin={known ? 0 : undefined}
        aria-valuemax={known ? max : undefined}
        aria-valuenow={known ? value : undefined}
        aria-valuetext={words}
        className="relative h-2 overflow-hidden rounded-full bg-sunken shadow-[inset_0_0_0_1px_var(--line)]"
      >
        <span className="ticks absolute inset-0 opacity-30" />
        {known ? (
          <span className={cn("absolute inset-y-0 left-0 w-full origin-left rounded-full transition-transform duration-500", fill)} style={{ transform: `scaleX(${share})` }} />
        ) : still ? null : (
          <span className={cn("absolute inset-y-0 w-1/3 rounded-full motion-safe:animate-sweep", fill)} />
        )}
      </div>
    </div>
  );
}

export interface Part {
  key: string;
  value: number;
  tone: "good" | "info" | "neutral" | "warn" | "bad";
  label: string;
}
const FILLS = { good: "bg-good", info: "bg-info", neutral: "bg-line-strong", warn: "bg-warn", bad: "bg-bad" };

/** Parts of a whole side by side, such as imported, skipped, failed. The words stand in a list under it unless hidden. */
export function StackedBar({ parts, total, label, legend = true, className }: { parts: Part[]; total: number; label: string; legend?: boolean; className?: string }) {
  const shown = parts.filter((each) => each.value > 0);
  const words = shown.map((each) => `${num(each.value)} ${each.label}`).join(", ");
  return (
    <div className={className}>
      <div role="img" aria-label={words ? `${label}: ${words}` : label} className="flex h-2 gap-px overflow-hidden rounded-full bg-sunken shadow-[inset_0_0_0_1px_var(--line)]">
        {shown.map((each) => <span key={each.key} className={cn("h-full", FILLS[each.tone])} style={{ width: `${(100 * each.value) / Math.max(total, 1)}%`, minWidth: 3 }} />)}
      </div>
      {legend && (
        <ul className="mt-1.5 flex flex-wrap gap-x-4 gap-y-0.5 text-sm text-soft" aria-hidden="true">
          {shown.map((each) => (
            <li key={each.key} className="flex items-center gap-1.5">
              <span className={cn("size-2 rounded-full", FILLS[each.tone])} />
              {num(each.value)} {each.label}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
