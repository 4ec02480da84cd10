// Dialogs and sheets (Radix: focus is kept inside, Escape closes, the page behind is inert).
import { RiCloseLine } from "@remixicon/react";
import { Dialog as Radix } from "radix-ui";
import { useState, type ReactNode } from "react";
import { asProblem } from "@/api/client";
import { cn } from "@/lib/cn";
import { giveBack } from "@/lib/focus";
import { Button, IconButton } from "./Button";
import { Problem } from "./States";

interface Common {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  lead?: ReactNode;
  children?: ReactNode;
  footer?: ReactNode;
}

/** A dialog is read from its beginning; a field with autoFocus goes before. */
function begin(event: Event): void {
  event.preventDefault();
  (event.currentTarget as HTMLElement | null)?.focus();
}

function Frame({ open, onOpenChange, title, lead, children, footer, className }: Common & { className: string }) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 animate-fade bg-veil" />
        <Radix.Content onOpenAutoFocus={begin} onCloseAutoFocus={giveBack} className={cn("fixed z-50 flex flex-col bg-raised shadow-high outline-none", className)} {...(lead ? {} : { "aria-describedby": undefined })}>
          <div className="flex items-start justify-between gap-4 px-5 pt-5">
            <div className="min-w-0">
              <Radix.Title className="font-serif text-xl font-semibold">{title}</Radix.Title>
              {lead && <Radix.Description asChild><div className="mt-1 text-soft">{lead}</div></Radix.Description>}
            </div>
            <Radix.Close asChild><IconButton label="Close" icon={RiCloseLine} className="-mt-1.5 -mr-2" /></Radix.Close>
          </div>
          <div className="min-h-0 flex-1 overflow-y-auto px-5 py-4">{children}</div>
          {footer && <div className="flex flex-wrap justify-end gap-2 border-t border-line px-5 py-4">{footer}</div>}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

/** A dialog in the middle; on phones it rises from below. */
export function Dialog({ wide, ...rest }: Common & { wide?: boolean }) {
  return (
    <Frame
      {...rest}
      className={cn(
        "inset-x-0 bottom-0 max-h-[92dvh] rounded-t-lg motion-safe:animate-sheet pb-[env(safe-area-inset-bottom)]",
        "sm:inset-auto sm:top-1/2 sm:left-1/2 sm:w-[calc(100vw-2rem)] sm:-translate-x-1/2 sm:-translate-y-1/2 sm:rounded-lg sm:pb-0 sm:motion-safe:animate-fade",
        wide ? "sm:max-w-3xl" : "sm:max-w-lg",
      )}
    />
  );
}

/** A sheet from the right; on phones from below. For details beside a list, and for "More". */
export function Sheet(props: Common) {
  return (
    <Frame
      {...props}
      className={cn(
        "inset-x-0 bottom-0 max-h-[92dvh] rounded-t-lg motion-safe:animate-sheet pb-[env(safe-area-inset-bottom)]",
        "sm:inset-x-auto sm:inset-y-0 sm:right-0 sm:max-h-none sm:w-[28rem] sm:max-w-[92vw] sm:rounded-none sm:pb-0 sm:motion-safe:animate-drawer",
      )}
    />
  );
}

export interface ConfirmProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  /** A question: "Disconnect Fathom?" */
  title: string;
  /** What happens then, and what stays. */
  lead: ReactNode;
  /** The verb of the title: "Disconnect". */
  action: string;
  danger?: boolean;
  /** The words for leaving everything as it is; default "Cancel". */
  dismiss?: string;
  /** The dialog closes when it is through, and shows the sentence of an ApiProblem when it is not. */
  onConfirm: () => Promise<unknown> | void;
  children?: ReactNode;
}

/** A question before what cannot be undone. */
export function ConfirmDialog({ open, onOpenChange, title, lead, action, danger, dismiss = "Cancel", onConfirm, children }: ConfirmProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const change = (next: boolean) => {
    setProblem(null);
    onOpenChange(next);
  };
  const confirm = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await onConfirm();
      change(false);
    } catch (error) {
      setProblem(asProblem(error).sentence);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      open={open}
      onOpenChange={change}
      title={title}
      lead={lead}
      footer={
        <>
          <Button onClick={() => change(false)}>{dismiss}</Button>
          <Button kind={danger ? "danger" : "primary"} loading={busy} onClick={() => void confirm()}>{action}</Button>
        </>
      }
    >
      {children}
      {problem && <Problem sentence={problem} />}
    </Dialog>
  );
}
