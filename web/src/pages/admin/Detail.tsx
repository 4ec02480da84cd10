// One import on behalf of somebody: how far it is, its calls, and whether the sign-in is still kept.
import { RiCloseCircleLine, RiInboxLine, RiRefreshLine } from "@remixicon/react";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import { api, asProblem, data, type Shape } from "@/api/client";
import { queryClient, useJob } from "@/api/queries";
import { count } from "@/lib/format";
import { isOver } from "@/lib/jobs";
import { useAddress } from "@/lib/address";
import { Button, ButtonLink, Card, ConfirmDialog, EmptyState, ErrorState, Facts, Field, Loading, PageHeader, Select, Skeleton, Time, toast, usePlatformName } from "@/parts";
import { DataTable } from "@/parts/DataTable";
import { CALL_COLUMNS, leadsTo } from "../jobs/CallRow";
import { Causes } from "../jobs/Causes";
import type { JobCall } from "../jobs/change";
import { useJobCalls } from "../jobs/data";
import { JobHead } from "../jobs/JobHead";
import { CALL_FILTERS, callName } from "../jobs/words";
import { Customer, Kept } from "./columns";
import { useAdminImport, type AdminView } from "./data";

const ABOVE = <Link to="/admin" className="link">Admin</Link>;

export function Detail({ id }: { id: string }) {
  const found = useAdminImport(id);
  const live = useJob(found.data ? id : null).data;
  if (found.data) return <One view={found.data} job={live ?? found.data.job} />;
  const gone = found.isError && [404, 422].includes(asProblem(found.error).status);
  return (
    <>
      <PageHeader title="Import" above={ABOVE} />
      {gone ? (
        <EmptyState icon={RiInboxLine} title="There is no such import" action={<ButtonLink kind="primary" to="/admin">Show all</ButtonLink>}>It may belong to another workspace, or the address is not complete.</EmptyState>
      ) : found.isError ? (
        <ErrorState error={found.error} onRetry={found.refetch} />
      ) : (
        <><Loading label="Loading the import" /><Skeleton as="card" className="mb-5 h-44" /><Skeleton as="rows" rows={8} /></>
      )}
    </>
  );
}

function One({ view, job }: { view: AdminView; job: Shape<"JobDetail"> }) {
  const navigate = useNavigate();
  const [address, change] = useAddress();
  const [asks, setAsks] = useState<"cancel" | "retry" | null>(null);
  const name = usePlatformName(view.platform);
  const who = view.customer_name ?? "somebody";
  const filter = CALL_FILTERS.find((each) => each.value === address.get("state"))?.value ?? null;
  const list = useJobCalls(job, view.job_id, filter);
  const path = { path: { job_id: view.job_id } };
  const reread = () => void queryClient.invalidateQueries({ queryKey: ["admin"] });
  const cancel = async () => {
    const after = await data(api.DELETE("/admin/imports/{job_id}", { params: path }));
    queryClient.setQueryData(["admin", "import", view.job_id], after);
    queryClient.setQueryData(["job", view.job_id], after.job);
    toast.info("Import cancelled", { detail: "The sign-in is deleted within seconds. Calls that were accepted before still arrive." });
  };
  const retry = async () => {
    const { retried_count: many } = await data(api.POST("/admin/imports/{job_id}/retry", { params: path }));
    if (many) toast.success(`${count(many, "call")} on ${many === 1 ? "its" : "their"} way again`);
    else toast.info("Nothing to try again", { detail: "What could not be read needs the sign-in. Start another import for those days." });
    reread();
    void queryClient.invalidateQueries({ queryKey: ["job-calls", view.job_id] });
    void queryClient.invalidateQueries({ queryKey: ["failed"] });
  };
  return (
    <>
      <PageHeader
        title={`Import for ${who}`}
        lead={[name, view.account].filter(Boolean).join(" · ")}
        above={ABOVE}
        actions={
          <>
            {job.failed_calls > 0 && <Button kind="primary" icon={RiRefreshLine} onClick={() => setAsks("retry")}>Retry failed</Button>}
            {!isOver(job) && <Button icon={RiCloseCircleLine} onClick={() => setAsks("cancel")}>Cancel</Button>}
          </>
        }
      />
      <JobHead job={job} />
      <Card className="mb-5">
        <Facts
          items={[
            ["For", <span key="who"><Customer view={view} />{view.customer_email && <span className="text-soft"> · {view.customer_email}</span>}</span>],
            ["Sign-in", <span key="kept" className="flex flex-wrap items-center gap-x-3 gap-y-1"><Kept kept={view.credential_kept} /><span className="text-soft">{!view.credential_kept ? "Nothing of it is left here." : isOver(job) ? "It is being deleted now." : "It is deleted as soon as this import is over."}</span></span>],
            ["Begun", <Time key="begun" at={view.created_at} />],
          ]}
        />
      </Card>
      <Causes job={job} />
      <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
        <h2 className="text-lg font-semibold">Calls</h2>
        <Field label="State" hideLabel className="w-44">
          <Select value={filter ?? ""} onChange={(event) => change({ state: event.target.value })} options={[{ value: "", label: "Any state" }, ...CALL_FILTERS.map((each) => ({ value: each.value, label: each.label }))]} />
        </Field>
      </div>
      <DataTable<JobCall>
        label="Calls of this import"
        columns={CALL_COLUMNS}
        query={list}
        rowId={(call) => `${call.source_app} ${call.external_id}`}
        rowName={callName}
        onRowOpen={(call) => {
          const to = leadsTo(call);
          if (to) void navigate(to);
        }}
        empty={
          filter ? (
            <EmptyState icon={RiInboxLine} title="No call is in this state" action={<Button onClick={() => change({ state: null })}>Show all calls</Button>} />
          ) : (
            <EmptyState icon={RiInboxLine} title={isOver(job) ? "There were no calls on these days" : "No call has come yet"}>{isOver(job) ? "Try other days in another import." : "They appear here as soon as the source names them."}</EmptyState>
          )
        }
      />
      <ConfirmDialog open={asks === "cancel"} onOpenChange={(open) => setAsks(open ? "cancel" : null)} danger title="Cancel this import?" action="Cancel import" dismiss="Keep importing" onConfirm={cancel}
        lead="Nothing more is read, and the sign-in is deleted within seconds. What is imported stays." />
      <ConfirmDialog open={asks === "retry"} onOpenChange={(open) => setAsks(open ? "retry" : null)} title="Retry the failed calls?" action="Retry" onConfirm={retry}
        lead={view.credential_kept ? "Each goes on from the step where it failed." : "Each goes on from the step where it failed. Those that could not be read need the sign-in, which is deleted; start another import for them."} />
    </>
  );
}
