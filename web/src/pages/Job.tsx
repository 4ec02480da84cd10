// Job: how far one import is, call by call, live.
import { RiCloseCircleLine, RiInboxLine, RiRefreshLine } from "@remixicon/react";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { api, asProblem, data, type Shape } from "@/api/client";
import { queryClient, useJob, useSession } from "@/api/queries";
import { cn } from "@/lib/cn";
import { count, num } from "@/lib/format";
import { isOver } from "@/lib/jobs";
import { useAddress } from "@/lib/address";
import { Button, ButtonLink, ConfirmDialog, EmptyState, ErrorState, Loading, PageHeader, Skeleton, toast } from "@/parts";
import { DataTable } from "@/parts/DataTable";
import { CALL_COLUMNS, leadsTo } from "./jobs/CallRow";
import { Causes } from "./jobs/Causes";
import type { JobCall } from "./jobs/change";
import { useJobCalls, useJobSource } from "./jobs/data";
import { JobHead } from "./jobs/JobHead";
import { RetryFailed } from "./jobs/RetryFailed";
import { CALL_FILTERS, callName, jobTitle, type CallFilter } from "./jobs/words";

type Detail = Shape<"JobDetail">;
const ABOVE = <Link to="/jobs" className="link">Jobs</Link>;

export default function Job() {
  const { id = "" } = useParams();
  const found = useJob(id);
  if (found.data) return <One key={id} job={found.data} id={id} />;
  if (found.isError) {
    const gone = asProblem(found.error).status === 404 || asProblem(found.error).status === 422;
    return (
      <>
        <PageHeader title="Job" above={ABOVE} />
        {gone ? (
          <EmptyState icon={RiInboxLine} title="There is no such import" action={<ButtonLink kind="primary" to="/jobs">Show all imports</ButtonLink>}>
            It may belong to another workspace, or the address is not complete.
          </EmptyState>
        ) : (
          <ErrorState error={found.error} onRetry={found.refetch} />
        )}
      </>
    );
  }
  return (
    <>
      <PageHeader title="Job" lead="How far this import is, call by call." above={ABOVE} />
      <Loading label="Loading the import" />
      <Skeleton as="card" className="mb-5 h-44" />
      <Skeleton as="rows" rows={8} />
    </>
  );
}

function One({ job, id }: { job: Detail; id: string }) {
  const navigate = useNavigate();
  const [search, change] = useAddress();
  const filter = CALL_FILTERS.find((each) => each.value === search.get("state"))?.value ?? null;
  const { name, account } = useJobSource(job);
  const list = useJobCalls(job, id, filter);
  const total = CALL_FILTERS.find((each) => each.value === filter)?.of(job) ?? job.total_calls;
  return (
    <>
      <PageHeader title={jobTitle(job, name)} lead={account ?? "How far this import is, call by call."} above={ABOVE} actions={<Actions job={job} name={name} />} />
      <JobHead job={job} />
      <Causes job={job} />
      <Filters job={job} chosen={filter} onChoose={(value) => change({ state: value })} />
      <DataTable<JobCall>
        label="Calls of this import"
        columns={CALL_COLUMNS}
        query={list}
        rowId={(call) => `${call.source_app} ${call.external_id}`}
        rowName={callName}
        total={total}
        onRowOpen={(call) => {
          const to = leadsTo(call);
          if (to) void navigate(to);
        }}
        empty={<NoCalls job={job} filtered={filter !== null} onAll={() => change({ state: null })} />}
      />
    </>
  );
}

function Actions({ job, name }: { job: Detail; name: string }) {
  const [asks, setAsks] = useState<"cancel" | "retry" | null>(null);
  const role = useSession().data?.role;
  const mayCancel = !isOver(job) && (job.job_type !== "replay" || role !== "member");
  const cancel = async () => {
    const after = await data(api.DELETE("/api/imports/{job_id}", { params: { path: { job_id: job.id } } }));
    queryClient.setQueryData(["job", job.id], after);
    toast.info("Import cancelled", { detail: `${name}: calls that were accepted before still arrive.` });
  };
  return (
    <>
      {job.failed_calls > 0 && <Button kind="primary" icon={RiRefreshLine} onClick={() => setAsks("retry")}>Retry failed</Button>}
      {mayCancel && <Button icon={RiCloseCircleLine} onClick={() => setAsks("cancel")}>Cancel</Button>}
      <ConfirmDialog
        open={asks === "cancel"}
        onOpenChange={(open) => setAsks(open ? "cancel" : null)}
        title="Cancel this import?"
        lead={`Nothing more is read from ${name} for it. Calls that were accepted already still arrive, and what is imported stays.`}
        action="Cancel import"
        dismiss="Keep importing"
        danger
        onConfirm={cancel}
      />
      <RetryFailed job={job} open={asks === "retry"} onOpenChange={(open) => setAsks(open ? "retry" : null)} />
    </>
  );
}

function Filters({ job, chosen, onChoose }: { job: Detail; chosen: CallFilter | null; onChoose: (value: CallFilter | null) => void }) {
  const all = { value: null, label: "All", many: job.total_calls };
  const rest = CALL_FILTERS.map((each) => ({ value: each.value, label: each.label, many: each.of(job) })).filter((each) => each.many > 0 || each.value === chosen);
  return (
    <div role="group" aria-label="Show calls by state" className="mb-3 flex flex-wrap gap-1.5">
      {[all, ...rest].map((each) => (
        <button
          key={each.label}
          type="button"
          aria-pressed={each.value === chosen}
          aria-label={`${each.label}: ${count(each.many, "call")}`}
          onClick={() => onChoose(each.value)}
          className={cn(
            "target inline-flex items-center gap-2 rounded-full border px-3.5 text-sm font-medium transition-colors",
            each.value === chosen ? "border-accent bg-accent-wash text-accent" : "border-line bg-card text-soft hover:border-line-strong hover:text-ink",
          )}
        >
          {each.label} <span className="tabular-nums">{num(each.many)}</span>
        </button>
      ))}
    </div>
  );
}

function NoCalls({ job, filtered, onAll }: { job: Detail; filtered: boolean; onAll: () => void }) {
  if (filtered) return <EmptyState icon={RiInboxLine} title="No call is in this state" action={<Button onClick={onAll}>Show all calls</Button>}>States change while an import runs.</EmptyState>;
  if (!isOver(job)) return <EmptyState icon={RiInboxLine} title="No call has come yet">They appear here as soon as the source names them.</EmptyState>;
  return (
    <EmptyState icon={RiInboxLine} title={job.status === "failed" ? "No call could be read" : "There was nothing new"} action={<ButtonLink to="/">Go to the Import Hub</ButtonLink>}>
      {job.status === "failed" ? "The sentence above says why. Mend it in the Import Hub and sync again." : "The source had no calls for this import."}
    </EmptyState>
  );
}
