// What stands where nothing stands yet: empty, wrong, on its way. Every list has all three.
import { RiErrorWarningLine, RiInformationLine } from "@remixicon/react";
import type { CSSProperties, ReactNode } from "react";
import { asProblem } from "@/api/client";
import { cn } from "@/lib/cn";
import { Button, type Icon } from "./Button";

/** Nothing here, and what to do about it. */
export function EmptyState({ icon: IconPart, title, children, action }: { icon: Icon; title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center px-6 py-12 text-center">
      <span className="mb-4 grid size-12 place-items-center rounded-full bg-accent-wash text-accent"><IconPart size={24} /></span>
      <p className="font-serif text-lg font-semibold text-balance">{title}</p>
      {children && <div className="mt-1 max-w-[46ch] text-soft text-pretty">{children}</div>}
      {action && <div className="mt-5 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

/** Something could not be read. Shows the sentence of an ApiProblem. */
export function ErrorState({ error, onRetry, title = "This could not be shown" }: { error: unknown; onRetry?: () => unknown; title?: string }) {
  return (
    <div role="alert" className="flex flex-col items-center px-6 py-12 text-center">
      <span className="mb-4 grid size-12 place-items-center rounded-full bg-bad-wash text-bad"><RiErrorWarningLine size={24} /></span>
      <p className="font-serif text-lg font-semibold">{title}</p>
      <p className="mt-1 max-w-[52ch] text-soft text-pretty">{asProblem(error).sentence}</p>
      {onRetry && <Button className="mt-5" onClick={() => void onRetry()}>Try again</Button>}
    </div>
  );
}

/** A sentence about what went wrong, inside a form or a dialog. */
export function Problem({ sentence, action }: { sentence: string; action?: ReactNode }) {
  return <Note tone="bad" role="alert" action={action}>{sentence}</Note>;
}

/** A remark in a box: quiet by default. */
export function Note({ tone = "info", children, action, role }: { tone?: "info" | "good" | "warn" | "bad"; children: ReactNode; action?: ReactNode; role?: "alert" | "status" }) {
  const tones = { info: "bg-info-wash text-info", good: "bg-good-wash text-good", warn: "bg-warn-wash text-warn", bad: "bg-bad-wash text-bad" };
  const IconPart = tone === "bad" || tone === "warn" ? RiErrorWarningLine : RiInformationLine;
  return (
    <div role={role} className={cn("flex items-start gap-3 rounded-md px-3 py-2.5", Boolean(action) && "max-sm:flex-wrap sm:items-center", tones[tone])}>
      <IconPart size={20} className={cn("mt-0.5 shrink-0", Boolean(action) && "sm:mt-0")} />
      <div className={cn("min-w-0 flex-1 text-ink", Boolean(action) && "max-sm:basis-48")}>{children}</div>
      {action && <div className="shrink-0 max-sm:ml-8">{action}</div>}
    </div>
  );
}

/** A place held for a line, a card, or rows of a table, in the final size. */
export function Skeleton({ as = "line", rows = 6, className, style }: { as?: "line" | "card" | "rows"; rows?: number; className?: string; style?: CSSProperties }) {
  if (as === "rows")
    return (
      <div aria-hidden="true" className={className} style={style}>
        {Array.from({ length: rows }, (_, at) => (
          <div key={at} className="flex h-14 items-center gap-4 border-b border-line px-4">
            <Bar className="size-8 rounded-sm" />
            <Bar className="h-3.5 flex-1" />
            <Bar className="h-3.5 w-24" />
            <Bar className="hidden h-3.5 w-32 sm:block" />
          </div>
        ))}
      </div>
    );
  if (as === "card")
    return (
      <div aria-hidden="true" className={cn("rounded-lg border border-line bg-card p-5", className)} style={style}>
        <div className="mb-4 flex items-center gap-3"><Bar className="size-10 rounded-md" /><Bar className="h-4 w-1/2" /></div>
        <Bar className="mb-2 h-3.5 w-full" /><Bar className="h-3.5 w-2/3" />
      </div>
    );
  return <Bar className={cn("h-3.5", className)} style={style} />;
}

function Bar({ className, style }: { className?: string; style?: CSSProperties }) {
  return <span aria-hidden="true" style={style} className={cn("block rounded-sm bg-line/70 motion-safe:animate-breathe", className)} />;
}

/** Said to screen readers while something loads. */
export function Loading({ label = "Loading" }: { label?: string }) {
  return <span role="status" className="sr-only">{label}</span>;
}
