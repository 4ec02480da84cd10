// Which columns of a table have room: measured where it stands, as the same window leaves it more or less beside other things.
import { useCallback, useState, type RefCallback } from "react";

interface Wanting {
  width?: string;
  from?: "md" | "lg";
}

const REM = 16;
const GAP = 16;
const EDGES = 34;
const BOX = 40 + GAP;
const LEAST = 8 * REM;

/** The least width of a track in pixels; of one that names none, what a name needs to be read. */
export function leastOf(track: string | undefined): number {
  const found = /^(?:minmax\()?([\d.]+)rem/.exec(track ?? "");
  return found ? Number(found[1]) * REM : LEAST;
}

/** The marks of the columns that must be left out for the rest to have room; null: not even then. */
export function leftOut(columns: readonly Wanting[], width: number, selectable: boolean): ReadonlySet<string> | null {
  for (const marks of [[], ["lg"], ["lg", "md"]]) {
    const kept = columns.filter((each) => !each.from || !marks.includes(each.from));
    const needed = kept.reduce((sum, each) => sum + leastOf(each.width) + GAP, EDGES - GAP + (selectable ? BOX : 0));
    if (needed <= width) return new Set(marks);
  }
  return null;
}

/** The width of an element, followed live; null before it is there. */
export function useWidth(): [number | null, RefCallback<HTMLElement>] {
  const [width, setWidth] = useState<number | null>(null);
  const measured = useCallback((node: HTMLElement | null) => {
    if (!node) return undefined;
    const measure = () => setWidth(node.offsetWidth);
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(node);
    return () => watch.disconnect();
  }, []);
  return [width, measured];
}
