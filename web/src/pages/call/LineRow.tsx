// One line of a transcript: the time, who speaks, what is said.
import { memo } from "react";
import { cn } from "@/lib/cn";
import { clockTime } from "@/lib/format";
import { marksOf, type Hit, type Line, type Speaker } from "./lines";

const INKS = ["", "text-speaker-1", "text-speaker-2", "text-speaker-3", "text-speaker-4", "text-speaker-5", "text-speaker-6", "text-speaker-7", "text-speaker-8"];
const BARS = ["bg-line", "bg-speaker-1", "bg-speaker-2", "bg-speaker-3", "bg-speaker-4", "bg-speaker-5", "bg-speaker-6", "bg-speaker-7", "bg-speaker-8"];

export const inkOf = (speaker: Speaker | undefined): string => INKS[speaker?.hue ?? 0] ?? "";
export const barOf = (speaker: Speaker | undefined): string => BARS[speaker?.hue ?? 0] ?? "";
const NO_HITS: readonly Hit[] = [];

export const LineRow = memo(function LineRow({ line, speaker, hits = NO_HITS, current, spoken, onPlay, tabbable }: {
  line: Line; speaker: Speaker | undefined; hits?: readonly Hit[]; current: Hit | undefined; spoken: boolean;
  /** Plays from here; absent where there is nothing to play. */
  onPlay?: (line: Line) => void; tabbable: boolean;
}) {
  const time = line.at === null ? null : clockTime(line.at);
  const click = () => {
    if (onPlay && !window.getSelection()?.toString()) onPlay(line);
  };
  return (
    <div className={cn("relative flex gap-3 rounded-md px-2 sm:gap-4", line.goesOn ? "py-1" : "pt-3 pb-1", spoken && "bg-accent-wash")}>
      {time !== null && (
        <div className="w-13 shrink-0 text-right sm:w-16">
          {onPlay ? (
            <button
              type="button"
              data-play=""
              tabIndex={tabbable ? 0 : -1}
              aria-label={`Play from ${time}`}
              title={`Play from ${time}`}
              onClick={() => onPlay(line)}
              className={cn("-my-1 inline-flex min-h-8 items-center rounded-sm px-1 text-sm tabular-nums hover:bg-sunken hover:text-ink pointer-coarse:min-h-10", spoken ? "font-semibold text-accent" : "text-soft")}
            >
              {time}
            </button>
          ) : (
            <span className="text-sm text-soft tabular-nums">{time}</span>
          )}
        </div>
      )}
      {speaker && <span aria-hidden="true" className={cn("w-[3px] shrink-0 self-stretch rounded-full", barOf(speaker), line.goesOn && "opacity-40")} />}
      <div className="min-w-0 flex-1">
        {line.speaker && !line.goesOn && <p className={cn("text-sm font-semibold", inkOf(speaker))}>{line.speaker}</p>}
        {/* The button beside it does the same for the keyboard. */}
        {/* eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions */}
        <p onClick={onPlay && click} className={cn("max-w-[72ch] break-words", onPlay && "cursor-pointer")}>
          {hits.length
            ? marksOf(line.text, hits, current).map((each, at) =>
                each.hit ? <mark key={at} className={each.current ? "outline-2 outline-accent" : undefined}>{each.text}</mark> : <span key={at}>{each.text}</span>,
              )
            : line.text}
        </p>
      </div>
    </div>
  );
});
