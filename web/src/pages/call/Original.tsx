// The transcript word for word as the source gave it, in a box that scrolls by itself.
import { useMemo } from "react";
import { blocksOf, kindOf, readableOriginal } from "./original";

export function Original({ text, from }: { text: string; /** The name of the source. */ from: string }) {
  const blocks = useMemo(() => blocksOf(readableOriginal(text)), [text]);
  return (
    <section aria-label="Original transcript" className="flex min-w-0 flex-col rounded-lg border border-line bg-card shadow-low lg:sticky lg:top-4 lg:max-h-[calc(100dvh-2rem)]">
      <p className="border-b border-line px-4 py-3 text-sm text-soft">As {from} gave it: {kindOf(text)}</p>
      {/* It scrolls, so the keyboard must be able to come here. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div tabIndex={0} role="region" aria-label="Text of the original transcript" className="min-h-0 flex-1 overflow-auto rounded-b-lg bg-sunken/60 p-4 max-lg:max-h-[75dvh]">
        {blocks.map((each, at) => (
          <pre key={at} className="font-mono text-sm break-words whitespace-pre-wrap [contain-intrinsic-size:auto_2400px] [content-visibility:auto]">{each}</pre>
        ))}
      </div>
    </section>
  );
}
