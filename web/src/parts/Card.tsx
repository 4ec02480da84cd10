// Surfaces: a card, and the head of a page.
import { useEffect, type ReactNode } from "react";
import { cn } from "@/lib/cn";

export function Card({ title, actions, children, className, as: Part = "section", pad = true }: {
  title?: ReactNode; actions?: ReactNode; children?: ReactNode; className?: string; as?: "section" | "article" | "div" | "li"; pad?: boolean;
}) {
  return (
    <Part className={cn("min-w-0 rounded-lg border border-line bg-card shadow-low", pad && "p-4 sm:p-5", className)}>
      {(title || actions) && (
        <div className={cn("mb-3 flex flex-wrap items-center justify-between gap-x-4 gap-y-2", !pad && "px-4 pt-4 sm:px-5")}>
          {title && <h2 className="text-lg font-semibold">{title}</h2>}
          {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
        </div>
      )}
      {children}
    </Part>
  );
}

/** The head of every page: its title (also of the browser's tab), one line of what it is for, and what one can do. */
export function PageHeader({ title, lead, actions, above, tab }: {
  title: ReactNode; lead?: ReactNode; actions?: ReactNode; above?: ReactNode; /** Title of the tab where `title` is no text. */ tab?: string;
}) {
  const name = tab ?? (typeof title === "string" ? title : "");
  useEffect(() => {
    document.title = name ? `${name} · callstream` : "callstream";
  }, [name]);
  return (
    <header className="mb-6 flex flex-wrap items-end justify-between gap-x-6 gap-y-4">
      <div className="min-w-0 max-w-[72ch]">
        {above && <div className="mb-1 text-sm text-soft">{above}</div>}
        <h1 className="font-serif text-2xl font-semibold tracking-tight break-words" tabIndex={-1}>{title}</h1>
        {lead && <p className="mt-1 text-base break-words text-soft">{lead}</p>}
      </div>
      {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
    </header>
  );
}
