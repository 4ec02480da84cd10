-- costs --
-- What the operator charges for a call of each platform.
SELECT source_app, cost_per_call_cents FROM platform_capabilities

-- put_off_next_sync --
-- A sync begins now by hand: the schedule's next one comes an interval later.
UPDATE import_sync_configs SET next_sync_at = now() + make_interval(mins => sync_frequency_minutes)
WHERE source_id = $1

-- running_sync --
-- The sync of a source that is under way.
SELECT job_id FROM import_jobs
WHERE source_id = $1 AND job_type = 'sync' AND phase IN ('counting', 'pulling')
    AND cancelled_at IS NULL AND failed_at IS NULL
ORDER BY created_at DESC LIMIT 1

-- sync_at_once --
-- Somebody wants the sync that is under way now: it waits for no processing window any more.
UPDATE import_jobs SET on_schedule = false, resume_at = CASE WHEN held_for = 'window' THEN now() ELSE resume_at END
WHERE job_id = $1

-- progress --
-- What came of some sources: calls of the library that they brought, and the import that is under way.
SELECT s.source_id,
    (SELECT count(*) FROM recordings r
     WHERE r.workspace_id = $2 AND r.source_id = s.source_id) AS calls_imported,
    (SELECT j.job_id FROM import_jobs j
     WHERE j.source_id = s.source_id AND j.phase IN ('counting', 'pulling') AND j.cancelled_at IS NULL
         AND j.failed_at IS NULL
     ORDER BY j.created_at DESC LIMIT 1) AS running_job_id,
    (SELECT count(*) FROM waiting_calls w WHERE w.source_id = s.source_id) AS waiting_calls
FROM unnest($1::uuid[]) AS s (source_id)

-- set_estimate --
-- How many calls the source says there are.
UPDATE import_jobs SET estimated_calls = $2 WHERE job_id = $1

-- add_oauth_state --
-- Somebody was sent to an authorization server and may come back once.
INSERT INTO oauth_states (state_hash, workspace_id, user_id, source_app, encrypted_state, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)

-- use_oauth_state --
-- Whoever comes back with this state, once and in time.
SELECT workspace_id, user_id, source_app, encrypted_state FROM use_oauth_state_v1($1)

-- member --
-- A person of the workspace.
SELECT user_id FROM memberships WHERE workspace_id = $1 AND user_id = $2

-- one_off_jobs --
-- Imports that support has started for people of the workspace, newest first.
SELECT j.job_id, s.user_id AS customer_id, u.name AS customer_name, u.email AS customer_email, s.source_app AS platform,
    nullif(s.account_email, '') AS account, k.credential_id IS NOT NULL AS credential_kept, j.created_at
FROM import_jobs j JOIN import_sources s USING (source_id) LEFT JOIN import_credentials k USING (source_id)
LEFT JOIN users u ON u.user_id = s.user_id
WHERE j.workspace_id = $1 AND s.one_off AND ($2::uuid IS NULL OR j.job_id = $2)
    AND ($3::timestamptz IS NULL OR (j.created_at, j.job_id) < ($3, $4::uuid))
ORDER BY j.created_at DESC, j.job_id DESC LIMIT $5
