// What is going on: running imports summed, failed imports to look at, and the month's quota where there is one. It is always
// there, so that nothing moves when something begins.
import { RiCheckLine, RiErrorWarningLine, RiHourglassLine, RiLoader4Line, RiPieChartLine } from "@remixicon/react";
import type { ReactNode } from "react";
import { Link } from "react-router";
import type { Job, Shape } from "@/api/client";
import { useFailedCount } from "@/api/queries";
import { cn } from "@/lib/cn";
import { count, day, num } from "@/lib/format";
import { Progress, type Icon } from "@/parts";
import { totals } from "./change";

export function Now({ jobs, quota }: { jobs: readonly Job[]; quota: Shape<"QuotaView"> | undefined }) {
  const failed = useFailedCount();
  const limited = quota?.imports_a_month ?? null;
  return (
    <section aria-label="Right now" className={cn("mb-7 grid overflow-hidden rounded-lg border border-line bg-card shadow-low divide-y divide-line sm:divide-x sm:divide-y-0", limited === null ? "sm:grid-cols-2" : "sm:grid-cols-3")}>
      <Running jobs={jobs} />
      <Cell icon={failed ? RiErrorWarningLine : RiCheckLine} tone={failed ? "bad" : "good"} title={failed === null ? "Failed imports" : failed ? count(failed, "failed import") : "No failed imports"}>
        {failed ? <Link className="link" to="/failed">Look at {failed === 1 ? "it" : "them"}</Link> : "Every call has arrived."}
      </Cell>
      {quota && limited !== null && <Quota quota={quota} limit={limited} />}
    </section>
  );
}

function Running({ jobs }: { jobs: readonly Job[] }) {
  const { jobs: running, done, calls, waiting } = totals(jobs);
  if (!running)
    return <Cell icon={RiCheckLine} tone="good" title="All quiet"><Link className="link" to="/jobs">What came last</Link></Cell>;
  const only = waiting === running;
  return (
    <Cell icon={only ? RiHourglassLine : RiLoader4Line} tone="info" moving={!only} title={`${count(running, "import")} ${only ? (running === 1 ? "waits" : "wait") : running === 1 ? "runs" : "run"}`}>
      <span className="flex flex-wrap items-center gap-x-3">
        {calls > 0 && <Progress label="All imports that run" value={done} max={calls} text="" className="w-24 [&>div:first-child]:hidden" />}
        {calls > 0 && <span>{`${num(done)} of ${count(calls, "call")}`}</span>}
        <Link className="link" to="/jobs">Show</Link>
      </span>
    </Cell>
  );
}

function Quota({ quota, limit }: { quota: Shape<"QuotaView">; limit: number }) {
  const out = quota.remaining === 0;
  return (
    <Cell icon={RiPieChartLine} tone={out ? "warn" : "info"} title={`${num(quota.used)} of ${count(limit, "import")} this month`}>
      {out ? <>More from {day(new Date(quota.resets_at))} on. What is sent by webhook is kept.</> : <Link className="link" to="/settings/usage">{num(quota.remaining ?? 0)} left</Link>}
    </Cell>
  );
}

const TONES = { good: "bg-good-wash text-good", bad: "bg-bad-wash text-bad", info: "bg-info-wash text-info", warn: "bg-warn-wash text-warn" };

function Cell({ icon: IconPart, tone, title, moving, children }: { icon: Icon; tone: keyof typeof TONES; title: string; moving?: boolean; children: ReactNode }) {
  return (
    <div className="flex min-h-18 items-center gap-3 px-4 py-3 sm:px-5">
      <span className={cn("grid size-9 shrink-0 place-items-center rounded-full", TONES[tone])}><IconPart size={20} className={cn(moving && "motion-safe:animate-spin")} /></span>
      <div className="min-w-0">
        <p className="font-semibold">{title}</p>
        <div className="text-sm text-soft">{children}</div>
      </div>
    </div>
  );
}
