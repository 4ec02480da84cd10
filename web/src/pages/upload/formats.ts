// What can be uploaded, said before anybody tries. The server looks into each file and has the last word.
import { num } from "@/lib/format";

export const RECORDINGS = "MP3, WAV, M4A, MP4, MOV, WebM, OGG, FLAC";
export const TRANSCRIPTS = "VTT, SRT, TXT, JSON";
/** What an installation allows unless it says otherwise. */
export const MAX_FILE = 2 * 1024 ** 3;
export const MAX_TRANSCRIPT = 20 * 1024 ** 2;
export const ACCEPT = [
  "audio/*", "video/*", ".mp3", ".wav", ".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".webm", ".mkv", ".ogg", ".oga", ".opus", ".flac", ".aac", ".3gp", ".mpeg", ".mpg", ".amr",
  ".vtt", ".srt", ".txt", ".json",
].join(",");

const TRANSCRIPT_NAMES: ReadonlySet<string> = new Set(["vtt", "srt", "txt", "text", "md", "json"]);
const HOPELESS: Record<string, string> = {
  pdf: "a document", doc: "a document", docx: "a document", odt: "a document", rtf: "a document", xls: "a table", xlsx: "a table", csv: "a table", ppt: "slides", pptx: "slides", key: "slides",
  zip: "an archive", rar: "an archive", "7z": "an archive", gz: "an archive", tar: "an archive", dmg: "a program", exe: "a program", html: "a web page", htm: "a web page",
  png: "a picture", jpg: "a picture", jpeg: "a picture", gif: "a picture", heic: "a picture", webp: "a picture", svg: "a picture",
};

/** A limit as it is meant: 2 GB, 20 MB. */
export function limit(size: number): string {
  const [share, unit] = size >= 1024 ** 3 ? [size / 1024 ** 3, "gigabyte"] : [size / 1024 ** 2, "megabyte"];
  return num(share, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 });
}

/** The ending of a name, without its dot. */
export function ending(name: string): string {
  const at = name.lastIndexOf(".");
  return at > 0 ? name.slice(at + 1).toLowerCase() : "";
}

export const isTranscript = (name: string): boolean => TRANSCRIPT_NAMES.has(ending(name));

/** Why a file is not even worth sending, or null. */
export function refusal(file: { name: string; size: number }): string | null {
  const hopeless = HOPELESS[ending(file.name)];
  if (hopeless) return `${file.name} is ${hopeless}. What can be imported: ${RECORDINGS} for recordings, ${TRANSCRIPTS} for transcripts.`;
  if (!file.size) return `${file.name} is empty. Export or record it again and upload the new file.`;
  const most = isTranscript(file.name) ? MAX_TRANSCRIPT : MAX_FILE;
  return file.size > most ? `${file.name} is larger than ${limit(most)}, which is the most ${isTranscript(file.name) ? "a transcript" : "a file"} may have.` : null;
}
