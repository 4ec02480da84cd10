// What of a call can be saved as a file.
import { RiDownload2Line } from "@remixicon/react";
import type { Shape } from "@/api/client";
import { bytes } from "@/lib/format";
import { Button, Menu, type MenuItem } from "@/parts";

export function Downloads({ call }: { call: Shape<"CallDetail"> }) {
  const at = `/api/calls/${call.id}`;
  const items: MenuItem[] = [];
  const add = (label: string, path: string) => items.push({ label, onSelect: () => save(`${at}/${path}`) });
  if (call.media?.available) add(call.media.size_bytes ? `Recording (${bytes(call.media.size_bytes)})` : "Recording", "media?download=1");
  if (call.has_transcript) add("Transcript as text (TXT)", "transcript?format=txt");
  if (call.segments.length) {
    add("Captions (VTT)", "transcript?format=vtt");
    add("Captions (SRT)", "transcript?format=srt");
  }
  if (call.has_transcript) add("Transcript as data (JSON)", "transcript?format=json");
  if (call.original_transcript) add("Original transcript", "transcript?which=original");
  if (!items.length) return null;
  return <Menu label="Download" items={items} trigger={<Button icon={RiDownload2Line}>Download</Button>} />;
}

function save(address: string): void {
  const link = Object.assign(document.createElement("a"), { href: address, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}
