// A secret just made. It stays until it is put away by hand, because it is never shown again.
import { useEffect, useRef, type ReactNode } from "react";
import { RiCheckLine } from "@remixicon/react";
import { Button, CopyBox, Note } from "@/parts";

export interface Shown {
  /** What the box holds: "the key". */
  what: string;
  label: string;
  text: string;
}

export function ShownOnce({ title, items, warning, children, onDone }: {
  title: string; items: Shown[]; /** Null: none of it is a secret. */ warning: string | null; children?: ReactNode; onDone: () => void;
}) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    // After the dialog that made it has given the keyboard back.
    const after = window.setTimeout(() => {
      box.current?.focus({ preventScroll: true });
      box.current?.scrollIntoView({ block: "nearest" });
    }, 50);
    return () => window.clearTimeout(after);
  }, []);
  return (
    <section ref={box} tabIndex={-1} aria-label={title} className="mb-6 scroll-mt-6 rounded-lg border border-accent bg-card p-4 shadow-mid outline-none sm:p-5">
      <h3 className="mb-3 flex items-center gap-2 text-lg font-semibold"><RiCheckLine size={20} className="text-good" />{title}</h3>
      <div className="grid gap-4">
        {items.map((each) => (
          <div key={each.label} className="min-w-0">
            <p className="mb-1 font-medium">{each.label}</p>
            <CopyBox text={each.text} what={each.what} />
          </div>
        ))}
        {warning && <Note tone="warn">{warning}</Note>}
        {children}
        <div><Button kind="primary" onClick={onDone}>{warning ? "I have kept it" : "Done"}</Button></div>
      </div>
    </section>
  );
}
