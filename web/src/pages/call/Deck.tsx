// The deck: plays the recording. Space and the arrow keys work wherever the focus is within it.
import { RiForward10Line, RiPauseFill, RiPlayFill, RiReplay10Line } from "@remixicon/react";
import type { KeyboardEvent } from "react";
import { cn } from "@/lib/cn";
import { clockTime, duration, num } from "@/lib/format";
import { Copy, IconButton, Problem, Select } from "@/parts";
import { SPEEDS, useDeck, type Player } from "./player";

const STEP = 10;
const KEY_STEP = 5;

export function DeckControls({ player, link }: { player: Player; link: (seconds: number) => string }) {
  const deck = useDeck(player);
  const length = deck.length ?? 0;
  const onKeyDown = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (target.closest("select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps: Record<string, () => void> = {
      ArrowLeft: () => player.seek(deck.at - KEY_STEP),
      ArrowRight: () => player.seek(deck.at + KEY_STEP),
      ArrowDown: () => player.seek(deck.at - KEY_STEP),
      ArrowUp: () => player.seek(deck.at + KEY_STEP),
      Home: () => player.seek(0),
      End: () => player.seek(length),
      ...(target.closest("button") ? {} : { " ": player.toggle }),
    };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    step();
  };
  return (
    // Keys are heard here for the buttons and the slider within.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <div role="group" aria-label="Player" onKeyDown={onKeyDown} className="@container">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 @md:flex-nowrap">
        <div className="flex items-center gap-0.5">
          <IconButton label={`Back ${STEP} seconds`} icon={RiReplay10Line} onClick={() => player.seek(deck.at - STEP)} />
          <button
            type="button"
            onClick={player.toggle}
            aria-label={deck.playing ? "Pause" : "Play"}
            title={deck.playing ? "Pause" : "Play"}
            className={cn("grid size-11 shrink-0 place-items-center rounded-full bg-accent text-on-accent shadow-low transition-colors hover:bg-accent-strong", deck.waiting && "motion-safe:animate-breathe")}
          >
            {deck.playing ? <RiPauseFill size={22} /> : <RiPlayFill size={22} className="translate-x-px" />}
          </button>
          <IconButton label={`Forward ${STEP} seconds`} icon={RiForward10Line} onClick={() => player.seek(deck.at + STEP)} />
        </div>
        <div className="order-last flex w-full min-w-0 items-center gap-3 @md:order-none @md:w-auto @md:flex-1">
          <span className="w-12 shrink-0 text-right text-sm tabular-nums" aria-hidden="true">{clockTime(deck.at)}</span>
          <input
            type="range"
            aria-label="Position"
            min={0}
            max={Math.max(length, 1)}
            step={0.1}
            value={Math.min(deck.at, Math.max(length, 1))}
            aria-valuetext={length ? `${clockTime(deck.at)} of ${duration(length)}` : clockTime(deck.at)}
            onChange={(event) => player.seek(Number(event.target.value))}
            className="target w-full min-w-0 cursor-pointer accent-accent"
          />
          <span className="w-12 shrink-0 text-sm text-soft tabular-nums" aria-hidden="true">{length ? clockTime(length) : "–:––"}</span>
        </div>
        <div className="ml-auto flex items-center gap-1 @md:ml-0">
          <Select
            aria-label="Speed"
            title="Speed"
            className="w-[5.25rem]"
            value={String(deck.speed)}
            onChange={(event) => player.setSpeed(Number(event.target.value))}
            options={SPEEDS.map((each) => ({ value: String(each), label: `${num(each)}×` }))}
          />
          <Copy text={link(deck.at)} what="a link to this moment" />
        </div>
      </div>
      {deck.wrong && (
        <div className="mt-3"><Problem sentence="This browser cannot play the recording. Download it and play it with another program; the transcript can be read here." /></div>
      )}
    </div>
  );
}
