// An import on behalf of somebody in the list: for whom, from where, how far, and whether the sign-in is still kept.
import { RiDeleteBin6Line, RiKey2Line } from "@remixicon/react";
import { Link } from "react-router";
import { count, num } from "@/lib/format";
import { isOver } from "@/lib/jobs";
import { Badge, PlatformLogo, Progress, StatusBadge, Time, usePlatformName } from "@/parts";
import type { Column } from "@/parts/DataTable";
import type { AdminView } from "./data";

export function Customer({ view }: { view: Pick<AdminView, "customer_name" | "customer_email"> }) {
  return <>{view.customer_name ?? view.customer_email ?? "Somebody who has left"}</>;
}

/** Whether the one-off sign-in is still there. */
export function Kept({ kept }: { kept: boolean }) {
  return kept ? <Badge tone="warn" icon={RiKey2Line}>Still kept</Badge> : <Badge tone="good" icon={RiDeleteBin6Line}>Deleted</Badge>;
}

function Who({ view }: { view: AdminView }) {
  const name = usePlatformName(view.platform);
  return (
    <span className="flex min-w-0 items-center gap-3">
      <PlatformLogo platform={view.platform} />
      <span className="min-w-0">
        <Link to={`?job=${view.job_id}`} className="block truncate font-semibold hover:underline"><Customer view={view} /></Link>
        <span className="block truncate text-sm font-normal text-soft">{[name, view.account].filter(Boolean).join(" · ")}</span>
      </span>
    </span>
  );
}

function Far({ view }: { view: AdminView }) {
  if (isOver(view)) return <span className="text-sm">{count(view.processed_calls, "call")}{view.failed_calls > 0 && <span className="text-bad">, {num(view.failed_calls)} failed</span>}</span>;
  const counting = !view.total_calls;
  return <Progress label={`Import for ${view.customer_name ?? "somebody"}`} value={view.processed_calls} max={counting ? null : view.total_calls} text={counting ? "Counting…" : `${num(view.processed_calls)} of ${count(view.total_calls, "call")}`} className="max-sm:w-44" />;
}

export const COLUMNS: readonly Column<AdminView>[] = [
  { id: "who", header: "For", width: "minmax(13rem, 2fr)", card: "title", cell: (view) => <Who view={view} /> },
  { id: "state", header: "State", width: "10.5rem", cell: (view) => <StatusBadge of="job" state={view.status} /> },
  { id: "far", header: "Calls", width: "minmax(9rem, 1.2fr)", cell: (view) => <Far view={view} /> },
  { id: "kept", header: "Sign-in", width: "7.5rem", cell: (view) => <Kept kept={view.credential_kept} /> },
  { id: "when", header: "Started", width: "8rem", from: "md", cell: (view) => <Time at={view.created_at} as="relative" className="text-sm" /> },
];
