// Which imports a person wants to see: read from the address, told to the API, and asked of a job that an event brings. Pure.
import type { Job } from "@/api/client";
import { RUNNING } from "@/lib/jobs";

export type JobStatus = Job["status"];
export const KINDS = ["sync", "historical", "backfill", "upload", "replay"] as const;
export type Kind = (typeof KINDS)[number];

/** The states one can ask for, in words; the value stands in the address. */
export const STATES: readonly { value: string; label: string; statuses: readonly JobStatus[] }[] = [
  { value: "running", label: "Running or waiting", statuses: RUNNING },
  { value: "trouble", label: "With failed calls", statuses: ["partial", "failed"] },
  { value: "completed", label: "Done", statuses: ["completed"] },
  { value: "cancelled", label: "Cancelled", statuses: ["cancelled"] },
];

export interface JobFilters {
  /** A value of STATES. */
  state: string;
  /** The id of a source, or `platform:<name>` for what comes from no connected account. */
  source: string;
  kind: string;
}

export const UPLOADS = "platform:upload";

export function filtersOf(search: URLSearchParams): JobFilters {
  const state = search.get("state") ?? "";
  const kind = search.get("kind") ?? "";
  return {
    state: STATES.some((each) => each.value === state) ? state : "",
    source: search.get("source") ?? "",
    kind: (KINDS as readonly string[]).includes(kind) ? kind : "",
  };
}

const statusesOf = (filters: JobFilters): readonly JobStatus[] | undefined => STATES.find((each) => each.value === filters.state)?.statuses;
const platformOf = (filters: JobFilters): string | undefined => (filters.source.startsWith("platform:") ? filters.source.slice(9) : undefined);

/** The question as the API takes it. */
export function queryOf(filters: JobFilters) {
  const platform = platformOf(filters);
  const statuses = statusesOf(filters);
  return {
    status: statuses && [...statuses],
    platform,
    source_id: platform === undefined ? filters.source || undefined : undefined,
    job_type: filters.kind ? [filters.kind as Kind] : undefined,
  };
}

/** Whether `job` belongs to what is asked for. */
export function fits(job: Job, filters: JobFilters): boolean {
  const platform = platformOf(filters);
  if (platform !== undefined ? job.source_app !== platform : filters.source && job.source_id !== filters.source) return false;
  if (filters.kind && job.job_type !== filters.kind) return false;
  return statusesOf(filters)?.includes(job.status) ?? true;
}

export const narrowed = (filters: JobFilters): boolean => Boolean(filters.state || filters.source || filters.kind);
