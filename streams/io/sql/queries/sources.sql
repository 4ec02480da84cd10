-- connect --
-- A new source, or the same account again: then its error is gone. No row: it is connected in another workspace.
INSERT INTO import_sources AS s (
    source_id, workspace_id, user_id, source_app, account_email, account_id, one_off, keep_recordings
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (user_id, source_app, account_email) WHERE NOT one_off DO UPDATE
SET account_id = excluded.account_id, is_active = true, error_reason = NULL, error_message = NULL
WHERE s.workspace_id = excluded.workspace_id
RETURNING source_id

-- schedule_first --
-- The schedule of a new source: at once, and then every so many minutes. One that has a schedule is due at once.
INSERT INTO import_sync_configs AS c (source_id, workspace_id, enabled, sync_frequency_minutes)
VALUES ($1, $2, $3, $4)
ON CONFLICT (source_id) DO UPDATE SET next_sync_at = now()

-- get --
-- One source of a workspace.
SELECT s.*, c.enabled, c.sync_frequency_minutes, c.next_sync_at, k.credential_id, k.credential_type, k.scopes,
    k.expires_at, k.last_verified_at
FROM import_sources s
LEFT JOIN import_sync_configs c USING (source_id)
LEFT JOIN import_credentials k USING (source_id)
WHERE s.source_id = $1 AND ($2::uuid IS NULL OR s.workspace_id = $2)

-- list --
-- The sources of a workspace, newest first.
SELECT s.*, c.enabled, c.sync_frequency_minutes, c.next_sync_at, k.credential_id, k.credential_type, k.scopes,
    k.expires_at, k.last_verified_at
FROM import_sources s
LEFT JOIN import_sync_configs c USING (source_id)
LEFT JOIN import_credentials k USING (source_id)
WHERE s.workspace_id = $1 AND NOT s.one_off
    AND ($2::timestamptz IS NULL OR (s.created_at, s.source_id) < ($2, $3::uuid))
ORDER BY s.created_at DESC, s.source_id DESC LIMIT $4

-- change --
-- Paused or not, recordings or not; null leaves it as it is. Whoever switches a source on wants it tried again.
UPDATE import_sources SET
    is_active = coalesce($3, is_active), keep_recordings = coalesce($4, keep_recordings),
    error_reason = CASE WHEN $3 THEN NULL ELSE error_reason END,
    error_message = CASE WHEN $3 THEN NULL ELSE error_message END
WHERE workspace_id = $1 AND source_id = $2
RETURNING source_id

-- schedule --
-- On or off, and how often; null leaves it as it is. The next sync is never later than one such time from now.
UPDATE import_sync_configs SET
    enabled = coalesce($3, enabled), sync_frequency_minutes = coalesce($4, sync_frequency_minutes),
    next_sync_at = least(next_sync_at, now() + make_interval(mins => coalesce($4, sync_frequency_minutes)))
WHERE workspace_id = $1 AND source_id = $2
RETURNING source_id

-- sync_now --
-- Due at once.
UPDATE import_sync_configs SET next_sync_at = now() WHERE source_id = $1

-- set_error --
-- A person must act before it goes on, unless the source took the credential after $4.
UPDATE import_sources SET error_reason = $2, error_message = $3
WHERE source_id = $1 AND NOT EXISTS (
    SELECT FROM import_credentials k WHERE k.source_id = $1 AND k.last_verified_at > $4
)

-- clear_error --
-- It goes on.
UPDATE import_sources SET error_reason = NULL, error_message = NULL WHERE source_id = $1 AND error_message IS NOT NULL

-- cancel_jobs --
-- Jobs of a source that is going away come to their end.
UPDATE import_jobs SET cancelled_at = now()
WHERE workspace_id = $1 AND source_id = $2 AND phase IN ('counting', 'pulling')
    AND cancelled_at IS NULL AND failed_at IS NULL

-- delete --
-- A source with its credential, schedule, waiting calls, coverage and webhook. Its calls stay.
WITH unread AS (
    UPDATE job_calls c SET status = 'failed', reason = 'The account was disconnected before this call was ready.',
        updated_at = now()
    FROM waiting_calls w
    WHERE w.workspace_id = $1 AND w.source_id = $2 AND c.job_id = w.job_id AND c.source_app = w.source_app
        AND c.external_id = w.external_id AND c.status = 'waiting'
)
DELETE FROM import_sources WHERE workspace_id = $1 AND source_id = $2 RETURNING source_app, account_email
