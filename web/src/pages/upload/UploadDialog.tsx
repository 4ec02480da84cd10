// "Upload files": what is allowed, where to drop or choose, and what one may say about them. Choosing begins at once.
import { useState } from "react";
import { Dialog, Disclosure, Field, TextInput } from "@/parts";
import { DropArea } from "./DropArea";
import { addFiles } from "./queue";

export function UploadDialog({ onClose }: { onClose: () => void }) {
  const [title, setTitle] = useState("");
  const [recorded, setRecorded] = useState("");
  const begin = (files: File[]) => {
    const at = recorded ? new Date(recorded) : null;
    addFiles(files, { title: title.trim() || undefined, recordedAt: at && !Number.isNaN(at.getTime()) ? at.toISOString() : undefined });
    onClose();
  };
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()} title="Upload files" lead="Recordings are transcribed, transcripts are read as they are. As many at a time as you like.">
      <DropArea onFiles={begin} primary />
      <Disclosure label="Title and time" className="mt-4">
        <div className="grid gap-3">
          <p className="text-sm text-soft">Both can stay empty: a call is then called like its file. What you enter counts for all files you choose next.</p>
          <Field label="Title" optional><TextInput value={title} maxLength={500} onChange={(event) => setTitle(event.target.value)} /></Field>
          <Field label="Recorded at" optional><TextInput type="datetime-local" value={recorded} onChange={(event) => setRecorded(event.target.value)} /></Field>
        </div>
      </Disclosure>
    </Dialog>
  );
}
