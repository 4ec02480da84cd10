// Which failed imports a person wants to see: read from the address, told to the API. Pure.
import type { Shape } from "@/api/client";

export type Failed = Shape<"FailedImport">;
export type FailedStatus = Failed["status"];

/** The states one can ask for; nothing means what nobody has solved yet. */
export const STATES: readonly { value: FailedStatus | "all"; label: string }[] = [
  { value: "open", label: "Failed" },
  { value: "retrying", label: "Trying again" },
  { value: "parked", label: "Set aside" },
  { value: "resolved", label: "Imported since" },
  { value: "discarded", label: "Discarded" },
  { value: "all", label: "All" },
];
const EVERY: readonly FailedStatus[] = ["open", "retrying", "parked", "resolved", "discarded"];
const CAN_RETRY: ReadonlySet<string> = new Set(["open", "parked"]);
export const canRetry = (failed: Pick<Failed, "status">): boolean => CAN_RETRY.has(failed.status);
export const canDiscard = (failed: Pick<Failed, "status">): boolean => CAN_RETRY.has(failed.status) || failed.status === "retrying";

export const NAMES = ["state", "stage", "reason", "source", "q", "job_id", "fingerprint"] as const;
export type FailedFilters = Record<(typeof NAMES)[number], string>;
/** Nothing asked for: for taking every filter back. */
export const NONE = Object.fromEntries(NAMES.map((each) => [each, ""])) as FailedFilters;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function filtersOf(search: URLSearchParams): FailedFilters {
  const found = Object.fromEntries(NAMES.map((each) => [each, (search.get(each) ?? "").trim()])) as FailedFilters;
  if (!STATES.some((each) => each.value === found.state)) found.state = "";
  if (!UUID.test(found.job_id)) found.job_id = "";
  return found;
}

export const narrowed = (filters: FailedFilters): boolean => NAMES.some((each) => filters[each]);

const common = (filters: FailedFilters) => ({
  stage: filters.stage || undefined,
  reason: filters.reason || undefined,
  source_app: filters.source || undefined,
  q: filters.q || undefined,
  job_id: filters.job_id || undefined,
  fingerprint: filters.fingerprint || undefined,
});

/** The question as the API takes it. */
export function queryOf(filters: FailedFilters) {
  const status = filters.state === "all" ? [...EVERY] : filters.state ? [filters.state as FailedStatus] : undefined;
  return { ...common(filters), status };
}

/** Whether any of what is shown can be retried. */
export const mayRetry = (filters: FailedFilters): boolean => !filters.state || filters.state === "all" || CAN_RETRY.has(filters.state);

/** What "Retry all" means: what is shown, as far as it can be retried. */
export function retryOf(filters: FailedFilters) {
  return { ...common(filters), status: CAN_RETRY.has(filters.state) ? [filters.state as FailedStatus] : undefined };
}
