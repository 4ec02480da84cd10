// The files of a drop, those in folders included.
const HIDDEN = /^(\.|Thumbs\.db$|desktop\.ini$)/i;

/** Whether files are dragged (and not text or a picture of a page). */
export const hasFiles = (transfer: DataTransfer | null): boolean => Boolean(transfer?.types.includes("Files"));

/** All files that were dropped. What is in the transfer is only there during the event, so call it at once. */
export async function filesOf(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((each) => (each.kind === "file" ? each.webkitGetAsEntry() : null));
  const plain = [...transfer.files];
  if (!entries.some((each) => each?.isDirectory)) return plain;
  const found = await Promise.all(entries.map((each) => (each ? walk(each) : [])));
  return found.flat();
}

async function walk(entry: FileSystemEntry): Promise<File[]> {
  if (HIDDEN.test(entry.name)) return [];
  if (entry.isFile) return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(walk))).flat();
}
