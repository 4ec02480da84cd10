// The call as it came, with secrets hidden: JSON that folds, or text. Large ones open piece by piece.
import { useState } from "react";
import type { Shape } from "@/api/client";
import { count } from "@/lib/format";
import { Bytes, Button, Card, Copy } from "@/parts";

const AT_ONCE = 100;
const OPEN_UP_TO = 12;
const LONG_TEXT = 400;

export function Original({ original }: { original: Shape<"Original"> }) {
  const { format, value } = original;
  const text = format === "json" ? JSON.stringify(value, null, 2) : String(value ?? "");
  return (
    <Card title="What came from the source" actions={text ? <Copy text={text} what="the original" label="Copy" /> : undefined}>
      <p className="mb-3 text-soft">
        Word for word, as it was received (<Bytes value={original.size_bytes} />). What looks like a password, a key or a signed address is hidden as <span className="font-mono">•••</span>, here and in what you copy.
        {original.truncated && " It is too long to be shown whole: this is its beginning."}
      </p>
      {format === "null" ? (
        <p>It came without content.</p>
      ) : (
        // A scrolling region is reached by the keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div role="region" aria-label="The original" tabIndex={0} className="max-h-[32rem] overflow-auto rounded-md border border-line bg-sunken p-3 font-mono text-sm">
          {format === "json" ? <Value value={value} depth={0} /> : <pre className="break-words whitespace-pre-wrap">{format === "binary" ? `No text. Its beginning, encoded:\n${text}` : text}</pre>}
        </div>
      )}
    </Card>
  );
}

function Value({ value, name, depth }: { value: unknown; name?: string; depth: number }) {
  if (value !== null && typeof value === "object") return <Fold value={value} name={name} depth={depth} />;
  return (
    <div className="break-words">
      <Name name={name} />
      <Plain value={value} />
    </div>
  );
}

const Name = ({ name }: { name?: string }) => (name === undefined ? null : <span className="text-info">{name}: </span>);

function Plain({ value }: { value: unknown }) {
  const [whole, setWhole] = useState(false);
  if (typeof value !== "string") return <span className="text-accent">{String(value)}</span>;
  const long = value.length > LONG_TEXT && !whole;
  return (
    <span>
      <span className="whitespace-pre-wrap">“{long ? `${value.slice(0, LONG_TEXT)}…` : value}”</span>
      {long && <Button kind="quiet" size="sm" onClick={() => setWhole(true)}>Show it whole</Button>}
    </span>
  );
}

function Fold({ value, name, depth }: { value: object; name?: string; depth: number }) {
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  const [open, setOpen] = useState(depth === 0 || (depth < 3 && entries.length <= OPEN_UP_TO));
  const [shown, setShown] = useState(AT_ONCE);
  if (!entries.length) return <div><Name name={name} /><span className="text-soft">{list ? "an empty list" : "nothing in it"}</span></div>;
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="cursor-pointer rounded-sm marker:text-soft">
        <Name name={name} />
        <span className="text-soft">{list ? count(entries.length, "item") : count(entries.length, "field")}</span>
      </summary>
      {open && (
        <div className="ml-1.5 border-l border-line pl-4">
          {entries.slice(0, shown).map(([key, each]) => <Value key={key} name={list ? String(Number(key) + 1) : key} value={each} depth={depth + 1} />)}
          {entries.length > shown && <Button kind="quiet" size="sm" onClick={() => setShown(shown + AT_ONCE)}>{`Show ${Math.min(AT_ONCE, entries.length - shown)} more`}</Button>}
        </div>
      )}
    </details>
  );
}
