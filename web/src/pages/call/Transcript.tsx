// The transcript with its deck: search, play at a line, and follow what is spoken. Only what is on the screen is drawn once a
// transcript is long; the page itself scrolls.
import { RiFocus3Line } from "@remixicon/react";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useEffectEvent, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { Button } from "@/parts";
import { Find } from "./Find";
import { hitsOf, type Hit, type Line, type Speaker } from "./lines";
import { LineRow } from "./LineRow";
import { usePlaying, useSpoken, type Player } from "./player";

/** Up to here everything is drawn, so that printing and the browser's own search work. */
const SHORT = 400;
const ROOM = 12;

interface Props {
  lines: readonly Line[];
  speakers: ReadonlyMap<string, Speaker>;
  player: Player;
  playable: boolean;
  /** The deck's controls, kept in sight with the search. */
  deck: ReactNode;
  words: string;
  onWords: (words: string) => void;
  /** Where to begin, in seconds, when the address says so. */
  begin: number | null;
}

export function Transcript({ lines, speakers, player, playable, deck, words, onWords, begin }: Props) {
  const list = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const [margin, setMargin] = useState(0);
  const [headHeight, setHeadHeight] = useState(120);
  const [focused, setFocused] = useState(0);
  const hits = useMemo(() => hitsOf(lines, words), [lines, words]);
  const byLine = useMemo(() => grouped(hits), [hits]);
  const [step, setStep] = useState({ words, at: 0 });
  const current = step.words === words ? Math.min(step.at, Math.max(hits.length - 1, 0)) : 0;
  const hit: Hit | undefined = hits[current];
  const spoken = useSpoken(player, lines);
  const playing = usePlaying(player);
  const [following, setFollowing] = useState(true);

  useLayoutEffect(() => {
    const measure = () => {
      if (list.current) setMargin(list.current.getBoundingClientRect().top + window.scrollY);
      if (head.current) setHeadHeight(head.current.offsetHeight);
    };
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(document.body);
    if (head.current) watch.observe(head.current);
    return () => watch.disconnect();
  }, []);
  const virtual = useWindowVirtualizer({
    count: lines.length,
    estimateSize: (at) => 34 + 24 * Math.floor((lines[at]?.text.length ?? 0) / 80),
    overscan: lines.length <= SHORT ? lines.length : ROOM,
    scrollMargin: margin,
    scrollPaddingStart: headHeight + 16,
    scrollPaddingEnd: 96,
  });
  const show = useCallback((at: number, align: "auto" | "start" | "center") => virtual.scrollToIndex(at, { align }), [virtual]);

  // The first hit of a search that came along, or the moment the address names.
  const start = useEffectEvent(() => {
    if (begin !== null) {
      const at = lines.findLastIndex((each) => each.at !== null && each.at <= begin);
      player.seek(begin);
      if (at > 0) show(at, "center");
    } else if (hit && hit.line > 5) show(hit.line, "center");
  });
  useEffect(() => {
    const frame = requestAnimationFrame(start);
    return () => cancelAnimationFrame(frame);
  }, []);

  const jump = (by: 1 | -1) => {
    if (!hits.length) return;
    const next = (current + by + hits.length) % hits.length;
    setStep({ words, at: next });
    setFollowing(false);
    show(hits[next]!.line, "center");
  };
  const search = (next: string) => {
    onWords(next);
    setStep({ words: next, at: 0 });
    const first = hitsOf(lines, next)[0];
    if (first) show(first.line, "auto");
  };

  // Following: the page moves on when what is spoken leaves the upper part of the screen.
  const follow = useEffectEvent((at: number) => {
    const row = list.current?.querySelector(`[data-index="${at}"]`)?.getBoundingClientRect();
    const inSight = row && row.top >= headHeight && row.bottom <= window.innerHeight * 0.72;
    if (!inSight) show(at, "start");
  });
  useEffect(() => {
    if (playing && following && spoken >= 0) follow(spoken);
  }, [playing, following, spoken]);
  const away = useEffectEvent(() => playing && setFollowing(false));
  useEffect(() => {
    const scrolled = () => away();
    const pressed = (event: globalThis.KeyboardEvent) => {
      if (["PageUp", "PageDown"].includes(event.key)) away();
    };
    window.addEventListener("wheel", scrolled, { passive: true });
    window.addEventListener("touchmove", scrolled, { passive: true });
    window.addEventListener("keydown", pressed);
    return () => {
      window.removeEventListener("wheel", scrolled);
      window.removeEventListener("touchmove", scrolled);
      window.removeEventListener("keydown", pressed);
    };
  }, []);
  const play = useCallback(
    (line: Line) => {
      setFollowing(true);
      player.playFrom(line.at ?? 0);
    },
    [player],
  );

  const onKeyDown = (event: KeyboardEvent, at: number) => {
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lines.length - 1 };
    const next = to[event.key];
    if (next === undefined || !playable) return;
    event.preventDefault();
    const found = Math.min(lines.length - 1, Math.max(0, next));
    setFocused(found);
    setFollowing(false);
    show(found, "auto");
    requestAnimationFrame(() => requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(`[data-index="${found}"] [data-play]`)?.focus({ preventScroll: true })));
  };
  const items = virtual.getVirtualItems();
  const tabbed = items.some((each) => each.index === focused) ? focused : (items[0]?.index ?? 0);
  return (
    <section aria-label="Transcript" className="min-w-0 rounded-lg border border-line bg-card shadow-low">
      <div ref={head} className="sticky top-0 z-10 grid gap-3 rounded-t-lg border-b border-line bg-card p-3 sm:px-4">
        {deck}
        <Find words={words} onWords={search} hits={hits.length} current={current} onStep={jump} field={field} />
      </div>
      <div className="p-2 pb-4 sm:px-3">
        <div ref={list} role="list" className="relative" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const line = lines[item.index]!;
            const mine = byLine.get(item.index);
            return (
              // Keys are heard here for the button within.
              // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
              <div
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                role="listitem"
                aria-setsize={lines.length}
                aria-posinset={item.index + 1}
                aria-current={item.index === spoken ? "true" : undefined}
                onKeyDown={(event) => onKeyDown(event, item.index)}
                onFocus={() => setFocused(item.index)}
                className="absolute inset-x-0 top-0"
                style={{ transform: `translateY(${item.start - margin}px)` }}
              >
                <LineRow
                  line={line}
                  speaker={line.speaker ? speakers.get(line.speaker) : undefined}
                  hits={mine}
                  current={mine?.includes(hit!) ? hit : undefined}
                  spoken={item.index === spoken}
                  onPlay={playable && line.at !== null ? play : undefined}
                  tabbable={item.index === tabbed}
                />
              </div>
            );
          })}
        </div>
      </div>
      {playing && spoken >= 0 && (
        <div className="pointer-events-none sticky bottom-20 z-10 flex h-0 justify-center sm:bottom-6">
          <Button
            size="sm"
            icon={RiFocus3Line}
            aria-pressed={following}
            onClick={() => setFollowing(!following)}
            className="pointer-events-auto h-9 -translate-y-9 !rounded-full shadow-high"
          >
            {following ? "Stop following" : "Follow the recording"}
          </Button>
        </div>
      )}
    </section>
  );
}

function grouped(hits: readonly Hit[]): Map<number, Hit[]> {
  const found = new Map<number, Hit[]>();
  for (const each of hits) {
    const mine = found.get(each.line);
    if (mine) mine.push(each);
    else found.set(each.line, [each]);
  }
  return found;
}
