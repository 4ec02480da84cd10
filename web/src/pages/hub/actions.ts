// What one can do with a source. Each shows at once what it will be, and takes it back with a sentence when it did not work.
import { api, data, type Source } from "@/api/client";
import { queryClient } from "@/api/queries";
import { toast } from "@/parts";
import { changeSource, jobBegan, putSource, rereadSource, SOURCES } from "./live";

type Change = Partial<Pick<Source, "auto_sync" | "sync_frequency_minutes" | "keep_recordings">>;

/** Sync now; a source in error is tried again by it. */
export async function syncNow(source: Source): Promise<void> {
  try {
    const { job_id } = await data(api.POST("/api/sources/{source_id}/sync", { params: { path: { source_id: source.id } } }));
    changeSource(source.id, { state: "active", error_reason: null, error_message: null });
    await jobBegan(job_id, source.display_name);
    void rereadSource(source.id);
  } catch (error) {
    toast.problem(`${source.display_name} could not be synced`, error);
  }
}

/** Pause, or go on with a sync at once. */
export async function setActive(source: Source, active: boolean): Promise<void> {
  changeSource(source.id, { state: active ? "active" : "paused" });
  const params = { params: { path: { source_id: source.id } } };
  try {
    putSource(await data(active ? api.POST("/api/sources/{source_id}/resume", params) : api.POST("/api/sources/{source_id}/pause", params)));
    if (active) toast.success(`${source.display_name} goes on`, { detail: "What came meanwhile is read now." });
    else toast.success(`${source.display_name} is paused`, { detail: "Nothing is read until you switch it on again.", action: { label: "Undo", onClick: () => void setActive(source, true) } });
  } catch (error) {
    putSource(source);
    toast.problem(active ? `${source.display_name} is still paused` : `${source.display_name} is still active`, error);
  }
}

/** The schedule, or whether recordings are kept. */
export async function setOption(source: Source, change: Change, done: string): Promise<void> {
  changeSource(source.id, change);
  try {
    const body = { ...change, sync_frequency_minutes: change.sync_frequency_minutes ?? undefined };
    putSource(await data(api.PATCH("/api/sources/{source_id}", { params: { path: { source_id: source.id } }, body })));
    toast.success(done, { detail: source.display_name, id: `option-${source.id}` });
  } catch (error) {
    putSource(source);
    toast.problem("Nothing was changed", error);
  }
}

/** Disconnect. Throws what went wrong, for the dialog to show. */
export async function disconnect(source: Source): Promise<void> {
  await api.DELETE("/api/sources/{source_id}", { params: { path: { source_id: source.id } } });
  queryClient.setQueryData<Source[]>(SOURCES, (old) => old?.filter((each) => each.id !== source.id));
  toast.success(`${source.display_name} is disconnected`, { detail: "Its calls stay in your library." });
}
