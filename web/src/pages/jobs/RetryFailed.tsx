// "Retry failed": says first how many and why, then sends them on their way again.
import { useQuery } from "@tanstack/react-query";
import { api, data, type Shape } from "@/api/client";
import { queryClient } from "@/api/queries";
import { count } from "@/lib/format";
import { reasonWords } from "@/lib/words";
import { ConfirmDialog, Skeleton, toast } from "@/parts";

export function RetryFailed({ job, open, onOpenChange }: { job: Shape<"JobDetail">; open: boolean; onOpenChange: (open: boolean) => void }) {
  const preview = useQuery({
    queryKey: ["failed", "preview", job.id],
    enabled: open,
    staleTime: 0,
    gcTime: 0,
    queryFn: () => data(api.POST("/api/failed-imports/retry", { body: { filter: { job_id: job.id }, dry_run: true, rate: 50 } })),
  }).data;
  const confirm = async () => {
    const { retried_count: many } = await data(api.POST("/api/imports/{job_id}/retry", { params: { path: { job_id: job.id } } }));
    if (many) toast.success(`${count(many, "call")} on ${many === 1 ? "its" : "their"} way again`, { detail: "Each comes through, or says again why not." });
    else toast.info("Nothing to try again", { detail: "The failed calls of this import cannot be tried again as they are." });
    void queryClient.invalidateQueries({ queryKey: ["job", job.id] });
    void queryClient.invalidateQueries({ queryKey: ["job-calls", job.id] });
    void queryClient.invalidateQueries({ queryKey: ["job-some", job.id] });
    void queryClient.invalidateQueries({ queryKey: ["failed"] });
  };
  const refused = job.errors.filter((each) => each.status === "refused").length;
  return (
    <ConfirmDialog
      open={open}
      onOpenChange={onOpenChange}
      title="Retry the failed calls?"
      lead="Each goes on from the step where it failed. What is imported already stays as it is."
      action={preview?.retry_count ? `Retry ${count(preview.retry_count, "call")}` : "Retry"}
      onConfirm={confirm}
    >
      {preview ? (
        <>
          <p className="font-medium">{preview.retry_count ? `${count(preview.retry_count, "call")} can be tried again:` : "None of them stands in the failed imports; those that could not be read are read again."}</p>
          <ul className="mt-2 grid gap-1">
            {preview.groups?.map((each) => (
              <li key={each.fingerprint} className="flex justify-between gap-4"><span>{reasonWords(each.reason)}</span><span className="text-soft">{count(each.count, "call")}</span></li>
            ))}
          </ul>
          {refused > 0 && <p className="mt-3 text-sm text-soft">{count(refused, "file")} refused at the upload: mend and upload {refused === 1 ? "it" : "them"} again.</p>}
        </>
      ) : (
        <Skeleton className="h-16" />
      )}
    </ConfirmDialog>
  );
}
