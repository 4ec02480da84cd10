// Why calls of a job failed: one line a cause, with how many and where to look at them.
import { Link } from "react-router";
import type { Shape } from "@/api/client";
import { count } from "@/lib/format";
import { errorSentence } from "@/lib/jobs";
import { reasonWords, stageWords } from "@/lib/words";
import { Card } from "@/parts";
import { useCauses } from "./data";

/** Files that were refused at the upload never became failed imports: they are counted from the errors of the job. */
function refusals(job: Shape<"JobDetail">): [string, number][] {
  const found = new Map<string, number>();
  for (const each of job.errors) {
    if (each.status === "refused") found.set(each.reason ?? "unknown", (found.get(each.reason ?? "unknown") ?? 0) + 1);
  }
  return [...found];
}

export function Causes({ job }: { job: Shape<"JobDetail"> }) {
  const groups = useCauses(job).data ?? [];
  const refused = refusals(job);
  if (!job.failed_calls || !(groups.length || refused.length)) return null;
  return (
    <Card title="Why calls failed" className="mb-5">
      <ul className="-my-1 divide-y divide-line">
        {groups.map((each) => (
          <li key={each.fingerprint} className="flex flex-wrap items-baseline justify-between gap-x-6 gap-y-1 py-2.5">
            <div className="min-w-0 flex-1 basis-72">
              <p className="font-semibold">{reasonWords(each.reason)} <span className="font-normal text-soft">· {stageWords(each.stage)}</span></p>
              <p className="text-soft">{each.message}</p>
            </div>
            <Link className="link whitespace-nowrap" to={`/failed?view=calls&job_id=${job.id}&fingerprint=${each.fingerprint}`}>Show {count(each.count, "call")}</Link>
          </li>
        ))}
        {refused.map(([reason, many]) => (
          <li key={reason} className="flex flex-wrap items-baseline justify-between gap-x-6 gap-y-1 py-2.5">
            <p className="font-semibold">{errorSentence(reason)} <span className="font-normal text-soft">· Refused at the upload</span></p>
            <span className="text-soft">{count(many, "file")}</span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
