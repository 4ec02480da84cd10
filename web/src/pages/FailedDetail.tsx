// One failed import: why, at which step, what to do next, and what came from the source.
import { RiDeleteBinLine, RiInboxLine, RiRefreshLine } from "@remixicon/react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { api, asProblem, data } from "@/api/client";
import { useLive } from "@/api/events";
import { queryClient } from "@/api/queries";
import { reasonWords, stageWords } from "@/lib/words";
import { Button, ButtonLink, Card, ConfirmDialog, Copy, EmptyState, ErrorState, Facts, Loading, Note, PageHeader, Skeleton, StatusBadge, Time, toast, useNow, usePlatformName } from "@/parts";
import { discardOne, marked, retryOne, type Detail } from "./failed/data";
import { canDiscard, canRetry } from "./failed/filters";
import { nameOf } from "./failed/List";
import { nextStep } from "./failed/next";
import { Original } from "./failed/Original";
import { Steps } from "./failed/Steps";

const ABOVE = <Link to="/failed" className="link">Failed imports</Link>;
const LOOK = 5000;

export default function FailedDetail() {
  const { id = "" } = useParams();
  const found = useQuery({
    queryKey: ["failed", "one", id],
    placeholderData: undefined,
    refetchOnMount: "always",
    refetchInterval: ({ state }) => (state.data?.status === "retrying" ? LOOK : false),
    queryFn: () => data(api.GET("/api/failed-imports/{failed_import_id}", { params: { path: { failed_import_id: id } } })),
  });
  if (found.data) return <One failed={found.data} />;
  if (found.isError) {
    const status = asProblem(found.error).status;
    return (
      <>
        <PageHeader title="Failed import" above={ABOVE} />
        {status === 404 || status === 422 ? (
          <EmptyState icon={RiInboxLine} title="There is no such failed import" action={<ButtonLink kind="primary" to="/failed">Show all failed imports</ButtonLink>}>
            It was cleared away, belongs to another workspace, or the address is not complete.
          </EmptyState>
        ) : (
          <ErrorState error={found.error} onRetry={found.refetch} />
        )}
      </>
    );
  }
  return (
    <>
      <PageHeader title="Failed import" lead="Why a call could not be imported, and what to do next." above={ABOVE} />
      <Loading label="Loading the failed import" />
      <div className="grid gap-5"><Skeleton as="card" className="h-56" /><Skeleton as="card" className="h-40" /><Skeleton as="card" className="h-72" /></div>
    </>
  );
}

/** Events of this very call: it came through, or failed again. */
function useFate(failed: Detail): void {
  useLive("import.completed", (came) => {
    if (failed.event_id === null || came.event_id !== failed.event_id) return;
    queryClient.setQueryData<Detail>(["failed", "one", failed.id], (old) => old && { ...old, status: "resolved", call_id: came.call_id, resolved_at: came.imported_at, next_retry_at: null });
    toast.success("The call was imported", { detail: came.title, id: failed.id });
  });
  useLive("import.failed", (again) => {
    if (failed.event_id === null || again.event_id !== failed.event_id) return;
    void queryClient.invalidateQueries({ queryKey: ["failed", "one", failed.id] });
    if (failed.status === "retrying") toast.error("The call failed again", { detail: again.message, id: failed.id });
  });
}

function One({ failed }: { failed: Detail }) {
  const now = useNow();
  useFate(failed);
  const callId = failed.status === "resolved" ? failed.call_id : null;
  const source = usePlatformName(failed.source_app);
  const advice = nextStep(failed, failed.source_app === "upload" ? "the upload" : source, now);
  const tone = failed.status === "resolved" ? "good" : failed.status === "retrying" || failed.next_retry_at ? "info" : failed.status === "discarded" ? "info" : "warn";
  return (
    <>
      <PageHeader title={reasonWords(failed.reason)} lead={`${nameOf(failed)} · ${source}`} above={ABOVE} actions={<Actions failed={failed} />} />
      <div className="grid gap-5">
        <Card>
          <div className="mb-4 flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
            <p className="min-w-0 max-w-[72ch] flex-1 basis-72 text-lg text-pretty break-words">{failed.message}</p>
            <span role="status"><StatusBadge of="failed" state={failed.status} /></span>
          </div>
          <Note tone={tone} action={callId ? <ButtonLink size="sm" to={`/calls/${callId}`}>Open call</ButtonLink> : advice.to ? <ButtonLink size="sm" to={advice.to}>{advice.label}</ButtonLink> : undefined}>
            <span className="font-semibold">What to do next: </span>{advice.sentence}
          </Note>
        </Card>
        <Card title="Where it failed"><Steps failed={failed} /></Card>
        <Card title="Facts">
          <Facts
            items={[
              ["Tries so far", String(failed.attempts)],
              failed.next_retry_at ? ["Next try by itself", <Time key="next" at={failed.next_retry_at} />] : null,
              failed.retried_at ? ["Last retried", <Time key="retried" at={failed.retried_at} />] : null,
              ["First failed", <Time key="first" at={failed.first_seen_at} />],
              ["Last failed", <Time key="last" at={failed.last_seen_at} />],
              failed.resolved_at ? ["Imported", <Time key="resolved" at={failed.resolved_at} />] : null,
              ["Source", source],
              failed.external_id ? ["Known there as", <span key="id" className="inline-flex min-w-0 items-center gap-1"><span className="min-w-0 font-mono text-sm break-all">{failed.external_id}</span><Copy text={failed.external_id} what="the name at the source" /></span>] : null,
              ["Step", stageWords(failed.stage)],
              failed.call_id && !callId ? ["In the library", <Link key="call" className="link" to={`/calls/${failed.call_id}`}>Open the call as it was imported before</Link>] : null,
              failed.job_id ? ["Import", <Link key="job" className="link" to={`/jobs/${failed.job_id}`}>Show the import it came with</Link>] : null,
              ["Others of this cause", <Link key="like" className="link" to={`/failed?view=calls&fingerprint=${failed.fingerprint}`}>Show all like this</Link>],
            ]}
          />
          {failed.detail && (
            <details className="mt-4">
              <summary className="target inline-flex items-center font-medium text-accent">For whoever looks into it</summary>
              <pre className="mt-2 max-h-80 overflow-auto rounded-md border border-line bg-sunken p-3 font-mono text-sm break-words whitespace-pre-wrap">{failed.detail}</pre>
            </details>
          )}
        </Card>
        <Original original={failed.original} />
      </div>
    </>
  );
}

function Actions({ failed }: { failed: Detail }) {
  const navigate = useNavigate();
  const [busy, setBusy] = useState(false);
  const [asks, setAsks] = useState(false);
  const able = canRetry(failed) && !busy;
  const retry = async () => {
    setBusy(true);
    marked([failed.id], "retrying"); // at once: its end may be told before the answer is here
    toast.info("On its way again", { detail: "You are told here when it comes through.", id: failed.id });
    try {
      await retryOne(failed.id);
    } catch (error) {
      marked([failed.id], failed.status);
      toast.problem("It could not be retried", error, { id: failed.id });
      void queryClient.invalidateQueries({ queryKey: ["failed", "one", failed.id] });
    } finally {
      setBusy(false);
    }
  };
  const discard = async () => {
    await discardOne(failed.id);
    marked([failed.id], "discarded");
    toast.info("Discarded", { detail: "Should the call be sent again, it is imported then." });
    void navigate("/failed");
  };
  return (
    <>
      {/* It stays while it is retried, so that neither the focus nor its neighbour moves. */}
      {(able || failed.status === "retrying") && <Button kind="primary" icon={RiRefreshLine} aria-disabled={!able} onClick={() => able && void retry()}>Retry</Button>}
      {canDiscard(failed) && <Button icon={RiDeleteBinLine} onClick={() => setAsks(true)}>Discard</Button>}
      <ConfirmDialog
        open={asks}
        onOpenChange={setAsks}
        title="Discard this failed import?"
        lead="It leaves the list and is not tried again. The call itself is not forbidden: when the source sends it again, or you upload it again, it is imported."
        action="Discard"
        dismiss="Keep it"
        danger
        onConfirm={discard}
      />
    </>
  );
}
