// A transcript as lines: who says what and when, where words are found in it, which line is spoken at a time. Pure.
import type { Shape } from "@/api/client";

type Detail = Pick<Shape<"CallDetail">, "segments" | "full_transcript">;

export interface Line {
  /** Null where the transcript does not say. */
  speaker: string | null;
  text: string;
  /** Seconds from the beginning; null in a transcript without times. */
  at: number | null;
  until: number | null;
  /** The same person goes on: the name is not said again. */
  goesOn: boolean;
}

/** The lines of a call: by speaker where there are times, else the text by its own lines. */
export function linesOf(call: Detail): Line[] {
  if (call.segments.length) {
    const said = call.segments.filter((each) => each.text.trim());
    return said.map((each, at) => {
      const speaker = nameOf(each.speaker);
      return {
        speaker,
        text: each.text.trim(),
        at: each.start_ms / 1000,
        until: Math.max(each.end_ms, each.start_ms) / 1000,
        goesOn: at > 0 && speaker !== null && speaker === nameOf(said[at - 1]?.speaker),
      };
    });
  }
  const texts = (call.full_transcript ?? "").split(/\r?\n/).map((each) => each.trim()).filter(Boolean);
  return texts.map((text) => ({ speaker: null, text, at: null, until: null, goesOn: false }));
}

const nameOf = (speaker: string | null | undefined): string | null => speaker?.trim() || null;

export interface Speaker {
  name: string;
  /** 1 to 8: which colour stands for the person in this call. */
  hue: number;
  /** The share of what is spoken, by time; null without times. */
  share: number | null;
}

/** Who speaks, in the order of their first words. */
export function speakersOf(lines: readonly Line[]): Map<string, Speaker> {
  const seconds = new Map<string, number>();
  let total = 0;
  for (const line of lines) {
    const spoken = line.at === null || line.until === null ? 0 : line.until - line.at;
    total += spoken;
    if (line.speaker) seconds.set(line.speaker, (seconds.get(line.speaker) ?? 0) + spoken);
  }
  return new Map([...seconds].map(([name, spoken], at) => [name, { name, hue: (at % 8) + 1, share: total ? spoken / total : null }]));
}

/** Which line is spoken at a time: the last that has begun. -1 before the first. */
export function lineAt(lines: readonly Line[], seconds: number): number {
  let low = 0;
  let high = lines.length - 1;
  let found = -1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if ((lines[middle]?.at ?? Infinity) <= seconds + 0.05) {
      found = middle;
      low = middle + 1;
    } else high = middle - 1;
  }
  return found;
}

export interface Hit {
  line: number;
  start: number;
  end: number;
}
const MAX_HITS = 5000;

/** Where `words` stand in the text: first as they are written; where that is nowhere, each word by itself, as the
 * library's search reads them ("quoted words" together, -word and OR left out). */
export function hitsOf(lines: readonly Line[], words: string): Hit[] {
  const literal = words.trim();
  if (!literal) return [];
  const found = matches(lines, pattern([literal], false));
  if (found.length) return found;
  const terms = termsOf(literal);
  return terms.length ? matches(lines, pattern(terms, true)) : [];
}

function matches(lines: readonly Line[], wanted: RegExp): Hit[] {
  const hits: Hit[] = [];
  for (const [line, { text }] of lines.entries()) {
    for (const match of text.matchAll(wanted)) {
      hits.push({ line, start: match.index, end: match.index + match[0].length });
      if (hits.length === MAX_HITS) return hits;
    }
  }
  return hits;
}

/** The words and phrases a search means. */
export function termsOf(query: string): string[] {
  const terms: string[] = [];
  for (const [, minus, phrase, word] of query.matchAll(/(-?)(?:"([^"]*)"|(\S+))/g)) {
    const term = (phrase ?? word ?? "").replaceAll('"', "").trim();
    if (term && !minus && !(word && /^or$/i.test(word))) terms.push(term);
  }
  return terms;
}

function pattern(terms: readonly string[], whole: boolean): RegExp {
  const texts = [...terms]
    .sort((a, b) => b.length - a.length)
    .map((each) => each.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("\\s+"));
  const one = `(?:${texts.join("|")})`;
  return new RegExp(whole ? `(?<![\\p{L}\\p{N}])${one}(?![\\p{L}\\p{N}])` : one, "giu");
}

export interface Mark {
  text: string;
  hit: boolean;
  current: boolean;
}

/** A line's text in pieces; `current` is the hit one stands at. */
export function marksOf(text: string, hits: readonly Hit[], current: Hit | undefined): Mark[] {
  const marks: Mark[] = [];
  let from = 0;
  for (const hit of hits) {
    if (hit.start > from) marks.push({ text: text.slice(from, hit.start), hit: false, current: false });
    marks.push({ text: text.slice(hit.start, hit.end), hit: true, current: hit === current });
    from = hit.end;
  }
  if (from < text.length) marks.push({ text: text.slice(from), hit: false, current: false });
  return marks;
}
