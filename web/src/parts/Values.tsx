// Values as people read them: times, numbers, sizes, hits of a search, things to copy.
import { RiCheckLine, RiFileCopyLine } from "@remixicon/react";
import { useEffect, useState, useSyncExternalStore } from "react";
import { cn } from "@/lib/cn";
import { bytes, day, duration, moment, momentLong, num, relative } from "@/lib/format";
import { Button, IconButton } from "./Button";

const watchers = new Set<() => void>();
let present = Date.now();
let timer = 0;
function watch(changed: () => void): () => void {
  watchers.add(changed);
  if (!timer) present = Date.now();
  timer ||= window.setInterval(() => {
    present = Date.now();
    watchers.forEach((each) => each());
  }, 10_000);
  return () => {
    watchers.delete(changed);
    if (!watchers.size) {
      window.clearInterval(timer);
      timer = 0;
    }
  };
}

/** The present, renewed every ten seconds while somebody looks. */
export function useNow(): Date {
  return new Date(useSyncExternalStore(watch, () => present));
}

/** A time in the person's zone; the title says it in full. `as`: relative ("3 minutes ago"), moment, or day. */
export function Time({ at, as = "moment", className }: { at: string | Date | null | undefined; as?: "relative" | "moment" | "day"; className?: string }) {
  if (at === null || at === undefined) return <span className={cn("text-soft", className)}>–</span>;
  const date = typeof at === "string" ? new Date(at) : at;
  return (
    <time dateTime={date.toISOString()} title={momentLong(date)} className={cn("whitespace-nowrap", className)}>
      {as === "relative" ? <Relative at={date} /> : as === "day" ? day(date) : moment(date)}
    </time>
  );
}
function Relative({ at }: { at: Date }) {
  return <>{relative(at, useNow())}</>;
}

export const Num = ({ value }: { value: number }) => <span className="tabular-nums">{num(value)}</span>;
export const Bytes = ({ value }: { value: number }) => <span className="whitespace-nowrap tabular-nums">{bytes(value)}</span>;
export const Duration = ({ seconds }: { seconds: number | null | undefined }) =>
  seconds === null || seconds === undefined ? <span className="text-soft">–</span> : <span className="whitespace-nowrap">{duration(seconds)}</span>;

export interface Piece {
  text: string;
  hit: boolean;
}
/** A text with the hits of a search marked. */
export function Highlight({ pieces }: { pieces: readonly Piece[] }) {
  return <>{pieces.map((piece, at) => (piece.hit ? <mark key={at}>{piece.text}</mark> : <span key={at}>{piece.text}</span>))}</>;
}

/** Copies `text`; says so for two seconds. With `label` as words, without as an icon named "Copy <what>". */
export function Copy({ text, what, label }: { text: string; what: string; label?: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return undefined;
    const after = window.setTimeout(() => setDone(false), 2000);
    return () => window.clearTimeout(after);
  }, [done]);
  const copy = () => void copyText(text).then(setDone);
  const shown = done ? RiCheckLine : RiFileCopyLine;
  return (
    <>
      {label ? (
        <Button size="sm" icon={shown} onClick={copy}>{label}</Button>
      ) : (
        <IconButton label={`Copy ${what}`} icon={shown} onClick={copy} className={done ? "text-good" : undefined} />
      )}
      <span role="status" className="sr-only">{done ? "Copied" : ""}</span>
    </>
  );
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without https the clipboard is closed; the old way still works there.
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** A value shown once or long, in its own box, with Copy: addresses, keys, secrets. */
export function CopyBox({ text, what }: { text: string; what: string }) {
  return (
    <div className="flex items-center gap-1 rounded-md border border-line bg-sunken pl-3">
      <code className="min-w-0 flex-1 py-2 text-sm break-all">{text}</code>
      <Copy text={text} what={what} />
    </div>
  );
}

/** Facts in pairs. A fact that is null is left out. */
export function Facts({ items, className }: { items: ([string, React.ReactNode] | null)[]; className?: string }) {
  return (
    <dl className={cn("grid grid-cols-1 gap-x-6 gap-y-3 min-[420px]:grid-cols-[auto_1fr] min-[420px]:gap-y-2", className)}>
      {items.filter((each) => each !== null).map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-soft max-[419px]:-mb-3">{name}</dt>
          <dd className="min-w-0 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
