// Files may be dropped anywhere on the Hub; while they are dragged a quiet veil says so, and what is allowed.
import { RiUploadCloud2Line } from "@remixicon/react";
import { useEffect, useState } from "react";
import { Limits } from "./DropArea";
import { filesOf, hasFiles } from "./dropped";
import { addFiles } from "./queue";

export function DropAnywhere() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const leave = (by: number) => {
      depth = Math.max(0, depth - by);
      if (!depth) setOver(false);
    };
    const onEnter = (event: DragEvent) => {
      if (!hasFiles(event.dataTransfer)) return;
      depth += 1;
      setOver(true);
    };
    const onLeave = (event: DragEvent) => hasFiles(event.dataTransfer) && leave(1);
    const onOver = (event: DragEvent) => {
      if (!hasFiles(event.dataTransfer)) return;
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    };
    const onDrop = (event: DragEvent) => {
      if (!hasFiles(event.dataTransfer) || !event.dataTransfer) return;
      leave(depth);
      if (event.defaultPrevented) return; // an area of its own took them
      event.preventDefault();
      void filesOf(event.dataTransfer).then((files) => addFiles(files));
    };
    const pairs = [["dragenter", onEnter], ["dragleave", onLeave], ["dragover", onOver], ["drop", onDrop]] as const;
    pairs.forEach(([name, handler]) => window.addEventListener(name, handler));
    return () => pairs.forEach(([name, handler]) => window.removeEventListener(name, handler));
  }, []);
  if (!over) return null;
  return (
    <div className="pointer-events-none fixed inset-0 z-30 grid animate-fade place-items-center bg-veil p-6">
      <div className="grid justify-items-center gap-1 rounded-lg border-2 border-dashed border-accent bg-raised px-8 py-7 text-center shadow-high">
        <RiUploadCloud2Line size={36} className="text-accent" />
        <p className="font-serif text-xl font-semibold">Drop to upload</p>
        <Limits />
      </div>
    </div>
  );
}
