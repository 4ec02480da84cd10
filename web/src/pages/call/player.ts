// The player behind the deck: one audio or video element, its state for React, and what one can do with it.
import { useCallback, useSyncExternalStore } from "react";
import { lineAt, type Line } from "./lines";

export interface Deck {
  playing: boolean;
  /** Seconds. */
  at: number;
  /** Seconds; null while nobody knows. */
  length: number | null;
  speed: number;
  /** The browser waits for more of the recording. */
  waiting: boolean;
  /** The browser cannot play it. */
  wrong: boolean;
}
export const SPEEDS = [0.75, 1, 1.25, 1.5, 1.75, 2] as const;

export interface Player {
  attach: (element: HTMLMediaElement | null) => (() => void) | undefined;
  toggle: () => void;
  /** Go to a time and play from there. */
  playFrom: (seconds: number) => void;
  seek: (seconds: number) => void;
  setSpeed: (speed: number) => void;
  watch: (changed: () => void) => () => void;
  now: () => Deck;
}

const HEARD = ["play", "pause", "ended", "timeupdate", "seeked", "durationchange", "loadedmetadata", "ratechange", "waiting", "playing", "canplay", "error", "emptied"];

export function createPlayer(knownLength: number | null): Player {
  let element: HTMLMediaElement | null = null;
  let wanted: number | null = null; // a time asked for before the recording was there
  let deck: Deck = { playing: false, at: 0, length: knownLength, speed: 1, waiting: false, wrong: false };
  const watchers = new Set<() => void>();
  const say = (change: Partial<Deck>) => {
    deck = { ...deck, ...change };
    watchers.forEach((each) => each());
  };
  const hear = (event: Event) => {
    if (!element) return;
    if (event.type === "loadedmetadata" && wanted !== null) {
      element.currentTime = wanted;
      wanted = null;
    }
    const { duration } = element;
    say({
      playing: !element.paused && !element.ended,
      at: wanted ?? element.currentTime,
      length: Number.isFinite(duration) && duration > 0 ? duration : knownLength,
      speed: element.playbackRate,
      waiting: event.type === "waiting" || (deck.waiting && !["playing", "canplay", "pause", "seeked", "error"].includes(event.type)),
      wrong: element.error !== null,
    });
  };
  const seek = (seconds: number) => {
    const to = Math.max(0, Math.min(seconds, deck.length ?? seconds));
    if (element && element.readyState > 0) element.currentTime = to;
    else wanted = to;
    say({ at: to });
  };
  const play = () => void element?.play().catch(() => undefined); // what stops it is told by the "error" event
  return {
    attach: (found) => {
      if (!found) return undefined;
      element = found;
      HEARD.forEach((each) => found.addEventListener(each, hear));
      return () => {
        HEARD.forEach((each) => found.removeEventListener(each, hear));
        found.pause();
        element = null;
      };
    },
    toggle: () => (deck.playing ? element?.pause() : play()),
    playFrom: (seconds) => {
      seek(seconds);
      play();
    },
    seek,
    setSpeed: (speed) => {
      if (element) element.playbackRate = speed;
      say({ speed });
    },
    watch: (changed) => {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    now: () => deck,
  };
}

/** All of the deck, a few times a second: for the deck alone. */
export const useDeck = (player: Player): Deck => useSyncExternalStore(player.watch, player.now);

/** The line that is spoken, which changes seldom; -1 before the recording was started. */
export function useSpoken(player: Player, lines: readonly Line[]): number {
  const read = useCallback(() => {
    const { at, playing } = player.now();
    return at > 0 || playing ? lineAt(lines, at) : -1;
  }, [player, lines]);
  return useSyncExternalStore(player.watch, read);
}

export const usePlaying = (player: Player): boolean => useSyncExternalStore(player.watch, () => player.now().playing);
