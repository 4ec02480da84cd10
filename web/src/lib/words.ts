// The plain words of the page: states, steps and reasons. Whatever has no word here is shown readable, never raw.
import { count } from "./format";

export type Stage = "pull" | "normalize" | "dedup" | "transcribe" | "persist";

/** The five steps of a call, in their order. */
export const STAGES: readonly Stage[] = ["pull", "normalize", "dedup", "transcribe", "persist"];

const STAGE_WORDS: Record<string, string> = {
  pull: "Reading from the source",
  normalize: "Understanding",
  dedup: "Checking for duplicates",
  transcribe: "Transcribing",
  persist: "Saving",
};

/** A step in words. */
export const stageWords = (stage: string): string => STAGE_WORDS[stage] ?? readable(stage);

const REASONS: Record<string, string> = {
  address_invalid: "The address is not valid",
  broker_away: "callstream is catching its breath",
  credential_refused: "The account refused the sign-in",
  cursor_expired: "The source forgot where we were",
  database_away: "The library could not be reached",
  duplicate: "Already in your library",
  erased: "Erased on request",
  file_too_large: "The file is too large",
  host_refused: "The address is not allowed",
  invalid_field: "A detail of the call is not valid",
  invalid_secret: "The secret is not valid",
  media_cut_off: "The recording broke off",
  media_empty: "The recording is empty",
  media_missing: "The recording is gone",
  media_store_away: "The store of recordings could not be reached",
  media_timeout: "The recording took too long to load",
  media_too_large: "The recording is too large",
  media_unreachable: "The recording could not be loaded",
  media_unreadable: "The recording cannot be played",
  media_url_failed: "The recording could not be loaded",
  media_url_missing: "There is no link to the recording",
  media_url_refused: "The link to the recording is not allowed",
  no_key: "An OpenAI key is missing",
  not_at_source: "The source no longer has this call",
  nothing_recorded: "Nothing was recorded",
  nothing_to_import: "There is nothing to import",
  older_version: "A newer version is already there",
  payload_not_json: "The call could not be read",
  payload_not_object: "The call could not be read",
  payload_too_deep: "The call could not be read",
  permission_missing: "The account lacks a permission",
  quota_used_up: "This month's imports are used up",
  recording_missing: "There is no recording",
  recording_not_ready: "The recording is not ready yet",
  recording_unfinished: "The recording is not finished yet",
  request_refused: "The source refused the request",
  sign_in_refused: "The account refused the sign-in",
  source_gone: "The source was disconnected",
  speech_to_text_refused: "The recording could not be transcribed",
  speech_to_text_timeout: "Transcribing took too long",
  too_large_for_kafka: "The call is too large",
  transcript_empty: "The transcript is empty",
  transcript_forbidden: "The transcript may not be read",
  transcript_too_large: "The transcript is too large",
  transcript_unreadable: "The transcript cannot be read",
  unchanged: "Nothing had changed",
  undecodable: "The call could not be read",
  unknown_source: "The source is unknown",
  unsupported_format: "This kind of file is not supported",
  vendor_answer_broken: "The source answered with something unreadable",
  vendor_failing: "The source has trouble",
  vendor_unreachable: "The source could not be reached",
  wrong_shape: "The call lacks something it needs",
};

/** A reason as a short headline; the sentence beside it comes from the API. */
export const reasonWords = (reason: string): string => REASONS[reason] ?? readable(reason);

const JOB_TYPES: Record<string, string> = {
  historical: "First import",
  sync: "Sync",
  upload: "Upload",
  backfill: "Older calls",
  file: "Files",
  admin: "On behalf of a customer",
  retry: "Retry",
  webhook: "Sent by the source",
  replay: "Replay",
};

/** What kind of job it is. */
export const jobTypeWords = (type: string): string => JOB_TYPES[type] ?? readable(type);

const ROLES: Record<string, string> = { owner: "Owner", member: "Member", support: "Support" };
export const roleWords = (role: string): string => ROLES[role] ?? readable(role);

/** `some_word` as "Some word". */
export function readable(word: string): string {
  const text = word.replaceAll("_", " ").trim();
  return text ? text[0]!.toUpperCase() + text.slice(1) : "Unknown";
}

/** The live line of a job: "Syncing… 4 of 12 calls". */
export function syncing(processed: number, total: number): string {
  if (!total) return "Syncing…";
  return `Syncing… ${count(processed, "", "").trim()} of ${count(total, "call")}`;
}

interface Counts {
  imported_calls: number;
  updated_calls: number;
  skipped_calls: number;
  failed_calls: number;
}

/** What a finished job says, one sentence a kind: "8 new calls imported", "Skipped 3 duplicates". */
export function outcome(job: Counts): { good: string; others: string[] } {
  const good = job.imported_calls ? `${count(job.imported_calls, "new call")} imported` : "No new calls";
  const others = [
    job.updated_calls && `${count(job.updated_calls, "call")} updated`,
    job.skipped_calls && `Skipped ${count(job.skipped_calls, "duplicate")}`,
    job.failed_calls && `${count(job.failed_calls, "call")} failed`,
  ].filter((each): each is string => Boolean(each));
  return { good, others };
}
