// What is said to screen readers of something that changes often: anew at most every ten seconds, so that they can keep up.
import { useEffect, useRef, useState } from "react";

const CALM = 10_000;

/** `text`, but at most every ten seconds a new one; `now` says it at once, for the end of something. */
export function useCalm(text: string, now = false): string {
  const [said, say] = useState(text);
  const last = useRef(0);
  useEffect(() => {
    if (text === said) return undefined;
    const wait = now ? 0 : Math.max(0, last.current + CALM - Date.now());
    const after = window.setTimeout(() => {
      last.current = Date.now();
      say(text);
    }, wait);
    return () => window.clearTimeout(after);
  }, [text, said, now]);
  return said;
}
