// The transcript as its source gave it, made readable without changing a word. Pure.

/** What kind of text it is, in words. */
export function kindOf(text: string): string {
  const start = text.trimStart();
  if (start.startsWith("WEBVTT")) return "captions (WebVTT)";
  if (parsed(text) !== undefined) return "JSON";
  return /^\d+\s*\r?\n\d\d:\d\d:\d\d,\d{3} --> /m.test(start.slice(0, 400)) ? "captions (SRT)" : "text";
}

/** JSON is indented and breaks its lines where its texts do; all else stays as it is. */
export function readableOriginal(text: string): string {
  const value = parsed(text);
  if (value === undefined) return text;
  const lines = JSON.stringify(value, null, 2).split("\n");
  return lines.map((line) => {
    const under = `\n${" ".repeat(line.search(/\S|$/) + 2)}`;
    return line.replace(/\\(?:r\\n|(.))/g, (all, sign?: string) => (sign === undefined || sign === "n" ? under : all));
  }).join("\n");
}

function parsed(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Cut into blocks of lines, so that the browser lays out only those in sight. */
export function blocksOf(text: string, size = 120): string[] {
  const lines = text.split("\n");
  const blocks: string[] = [];
  for (let at = 0; at < lines.length; at += size) blocks.push(lines.slice(at, at + size).join("\n"));
  return blocks;
}
