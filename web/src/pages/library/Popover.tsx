// A filter: a button that opens a small box beside it, and, once it narrows the list, says how and can be taken away.
import { RiArrowDownSLine, RiCloseLine } from "@remixicon/react";
import { Popover } from "radix-ui";
import { useState, type ReactNode } from "react";
import { cn } from "@/lib/cn";

export function FilterChip({ name, value, onClear, children }: {
  name: string; /** What it narrows to, in words; empty while it narrows nothing. */ value: string; onClear: () => void; children: (close: () => void) => ReactNode;
}) {
  const [open, setOpen] = useState(false);
  const on = value !== "";
  return (
    <div className={cn("inline-flex max-w-full min-w-0 items-stretch rounded-full border text-sm", on ? "border-accent/40 bg-accent-wash" : "border-line bg-card shadow-low")}>
      <Popover.Root open={open} onOpenChange={setOpen}>
        <Popover.Trigger asChild>
          <button type="button" className={cn("target inline-flex min-w-0 items-center gap-1 rounded-full pl-3.5 font-medium", on ? "pr-1" : "pr-2.5 hover:bg-sunken")}>
            <span className="truncate">{on ? <><span className="text-soft">{name}:</span> {value}</> : name}</span>
            {!on && <RiArrowDownSLine size={16} className="shrink-0 text-soft" />}
          </button>
        </Popover.Trigger>
        <Popover.Portal>
          <Popover.Content
            align="start"
            sideOffset={6}
            collisionPadding={12}
            aria-label={name}
            className="z-40 w-80 max-w-[calc(100vw-1.5rem)] rounded-lg border border-line bg-raised p-4 shadow-high motion-safe:animate-rise"
          >
            {children(() => setOpen(false))}
          </Popover.Content>
        </Popover.Portal>
      </Popover.Root>
      {on && (
        <button type="button" onClick={onClear} aria-label={`Remove the filter ${name}`} title={`Remove the filter ${name}`} className="target grid w-9 place-items-center rounded-full text-soft hover:text-ink">
          <RiCloseLine size={16} />
        </button>
      )}
    </div>
  );
}
