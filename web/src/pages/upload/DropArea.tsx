// Where files are dropped or chosen, with what is allowed said before.
import { RiUploadCloud2Line } from "@remixicon/react";
import { useRef, useState, type DragEvent } from "react";
import { cn } from "@/lib/cn";
import { Button } from "@/parts";
import { filesOf, hasFiles } from "./dropped";
import { ACCEPT, limit, MAX_FILE, MAX_TRANSCRIPT, RECORDINGS, TRANSCRIPTS } from "./formats";
import { addFiles } from "./queue";

export function DropArea({ onFiles = addFiles, primary }: { onFiles?: (files: File[]) => void; primary?: boolean }) {
  const [over, setOver] = useState(false);
  const drop = (event: DragEvent) => {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    setOver(false);
    void filesOf(event.dataTransfer).then(onFiles);
  };
  return (
    <div
      onDragOver={(event) => {
        if (!hasFiles(event.dataTransfer)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      className={cn("rounded-lg border-2 border-dashed px-4 py-6 text-center transition-colors", over ? "border-accent bg-accent-wash" : "border-line")}
    >
      <RiUploadCloud2Line size={28} className="mx-auto mb-2 text-accent" />
      <p className="font-medium">Drop files here, or</p>
      <ChooseFiles onFiles={onFiles} primary={primary} className="mt-2" />
      <Limits className="mt-4" />
    </div>
  );
}

/** The button that opens the system's choice of files. */
export function ChooseFiles({ onFiles, primary, className }: { onFiles: (files: File[]) => void; primary?: boolean; className?: string }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button kind={primary ? "primary" : "secondary"} className={className} onClick={() => input.current?.click()}>Choose files</Button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        accept={ACCEPT}
        aria-label="Files to upload"
        onChange={(event) => {
          const files = [...(event.target.files ?? [])];
          event.target.value = "";
          if (files.length) onFiles(files);
        }}
      />
    </>
  );
}

/** What may be uploaded. */
export function Limits({ className }: { className?: string }) {
  return (
    <div className={cn("text-sm text-soft text-pretty", className)}>
      <p>Recordings up to {limit(MAX_FILE)}: {RECORDINGS} and more.</p>
      <p>Transcripts up to {limit(MAX_TRANSCRIPT)}: {TRANSCRIPTS}.</p>
    </div>
  );
}
