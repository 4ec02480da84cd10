-- record_dead_letter --
-- Keep a dead letter as a failed import. A redelivered old letter never reopens what a later try has settled; a later
-- replay of the same event is a later try.
INSERT INTO failed_imports AS f (
    failed_import_id, workspace_id, identity, event_id, source_app, external_id, job_id, observed_at, stage, kind,
    reason, message, detail, attempts, retryable, next_retry_at, status, fingerprint, origin_topic, origin_partition,
    origin_offset, original_key, original_value, original_headers, first_seen_at, last_seen_at, replay_id
)
SELECT $1, coalesce((SELECT w.workspace_id FROM workspaces w WHERE w.workspace_id = $2),
                    (SELECT w.workspace_id FROM workspaces w WHERE w.is_home)),
    $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
    $24::json, $25, $25, $26
ON CONFLICT (identity) DO UPDATE SET
    observed_at = excluded.observed_at, stage = excluded.stage, kind = excluded.kind, reason = excluded.reason,
    message = excluded.message, detail = excluded.detail, attempts = excluded.attempts,
    retryable = excluded.retryable, next_retry_at = excluded.next_retry_at, status = excluded.status,
    fingerprint = excluded.fingerprint,
    origin_topic = excluded.origin_topic, origin_partition = excluded.origin_partition,
    origin_offset = excluded.origin_offset, original_key = excluded.original_key,
    original_value = excluded.original_value, original_headers = excluded.original_headers,
    last_seen_at = excluded.last_seen_at, resolved_at = NULL, replay_id = excluded.replay_id, job_id = excluded.job_id
WHERE (coalesce(excluded.replay_id, callstream_no_replay()), excluded.attempts)
        > (coalesce(f.replay_id, callstream_no_replay()), f.attempts)
    AND f.status <> 'discarded'
RETURNING failed_import_id;

-- make_call --
-- The call's status row, if it is not there yet.
INSERT INTO imported_calls (import_id, workspace_id, source_app, external_id, status, event_id)
SELECT $1, w.workspace_id, $3, $4, 'failed', $5 FROM workspaces w WHERE w.workspace_id = $2
ON CONFLICT DO NOTHING;

-- lock_call --
-- Lock the call's status row: whoever is storing this call just now locks it too, so that one sees what the other did.
SELECT FROM imported_calls WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3 FOR UPDATE;

-- fail_job_call --
-- Show the call of a job as failed, with the reason.
UPDATE job_calls SET status = 'failed', reason = $4, updated_at = now()
WHERE job_id = $1 AND source_app = $2 AND external_id = $3 AND workspace_id = $5
    AND status IN ('pending', 'waiting', 'failed');

-- fail_imported_call --
-- Show the call as failed unless it is stored already.
UPDATE imported_calls SET status = 'failed', last_error = $4, retry_count = $5, updated_at = now()
WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3 AND recording_id IS NULL;

-- skip_erased --
-- Show the call of a job as skipped, because it was erased.
UPDATE job_calls SET status = 'skipped', reason = $5, updated_at = now()
WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3 AND job_id = $4
    AND status IN ('pending', 'waiting', 'failed');
