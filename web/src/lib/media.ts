// Whether a media query holds, followed live.
import { useCallback, useSyncExternalStore } from "react";

export function useMedia(query: string): boolean {
  const watch = useCallback(
    (changed: () => void) => {
      const list = window.matchMedia(query);
      list.addEventListener("change", changed);
      return () => list.removeEventListener("change", changed);
    },
    [query],
  );
  return useSyncExternalStore(watch, () => window.matchMedia(query).matches);
}

/** Phones and narrow windows: tables become stacked cards, the navigation moves to the bottom. */
export const useNarrow = (): boolean => useMedia("(max-width: 639px)");
