-- list_jobs --
-- Jobs, newest first, each with its calls counted by state.
WITH page AS (
    SELECT * FROM import_jobs
    WHERE workspace_id = $1 AND ($2::uuid IS NULL OR job_id = $2)
      AND ($3::timestamptz IS NULL OR (created_at, job_id) < ($3, $4::uuid))
      AND ($6::uuid IS NULL OR source_id = $6) AND ($7::text[] IS NULL OR job_type = ANY($7))
      AND ($8::text IS NULL OR source_app = $8)
    ORDER BY created_at DESC, job_id DESC LIMIT $5
)
SELECT p.job_id, p.job_type, p.source_app, p.source_id, p.total_calls, p.open_ended, p.cancelled_at, p.last_error,
       p.created_at, p.started_at, p.phase, p.resume_at, p.estimated_calls, p.failed_at, p.done_at,
       (SELECT state FROM replays r WHERE r.replay_id = p.job_id) AS replay_state,
       (SELECT max(w.next_try_at) FROM waiting_calls w WHERE w.source_id = p.source_id AND w.job_id = p.job_id)
           AS waiting_until, c.*
FROM page p CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'pending') AS pending,
           count(*) FILTER (WHERE status = 'imported') AS imported,
           count(*) FILTER (WHERE status = 'updated') AS updated,
           count(*) FILTER (WHERE status = 'skipped') AS skipped,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE status = 'waiting') AS waiting,
           count(*) FILTER (WHERE status = 'discarded') AS discarded,
           count(*) FILTER (WHERE status = 'refused') AS refused,
           max(j.updated_at) AS last_change
    FROM job_calls j WHERE j.job_id = p.job_id AND j.workspace_id = $1
) c
ORDER BY p.created_at DESC, p.job_id DESC

-- job_errors --
-- The calls of a job that went wrong, for its detail.
SELECT source_app, external_id, filename, status, reason, updated_at FROM job_calls
WHERE workspace_id = $1 AND job_id = $2 AND status IN ('failed', 'refused')
ORDER BY updated_at DESC, source_app, external_id LIMIT $3

-- list_job_calls --
-- The calls of a job with their states, and the failed import and the next try where there is one; of a call that waits
-- for its source, what it waits for. Where a transcription
-- stands is only a note beside: a call that is stored is through with it, and one that failed is not in it; one that is
-- retried waits for it again, whatever was noted before.
SELECT j.source_app, j.external_id, j.filename, j.status, j.reason, j.updated_at,
       i.recording_id, r.title, f.failed_import_id, coalesce(f.message, w.why) AS message,
       coalesce(f.next_retry_at, w.next_try_at) AS next_retry_at, t.state, t.chunks_done, t.chunks_total
FROM job_calls j
LEFT JOIN imported_calls i USING (workspace_id, source_app, external_id)
LEFT JOIN recordings r ON r.workspace_id = j.workspace_id AND r.recording_id = i.recording_id
LEFT JOIN import_jobs p ON p.job_id = j.job_id
LEFT JOIN waiting_calls w ON w.source_id = p.source_id AND w.external_id = j.external_id AND j.status = 'waiting'
LEFT JOIN LATERAL (
    SELECT failed_import_id, message, next_retry_at FROM failed_imports f
    WHERE f.workspace_id = $1 AND f.source_app = j.source_app AND f.external_id = j.external_id
      AND f.status IN ('open', 'retrying', 'parked')
    ORDER BY f.last_seen_at DESC LIMIT 1
) f ON j.status IN ('failed', 'waiting')
LEFT JOIN LATERAL (
    SELECT s.chunks_done, s.chunks_total, CASE
        WHEN s.state = 'done' OR j.status IN ('imported', 'updated', 'skipped') THEN 'done'
        WHEN j.status <> 'pending' OR g.failed THEN NULL
        WHEN g.retried_at > s.updated_at THEN 'waiting'
        ELSE s.state END AS state
    FROM transcriptions s CROSS JOIN LATERAL (
        SELECT bool_or(status <> 'retrying') AS failed, max(retried_at) AS retried_at FROM failed_imports g
        WHERE g.workspace_id = $1 AND g.source_app = j.source_app AND g.external_id = j.external_id
          AND g.event_id = j.event_id AND g.status IN ('open', 'retrying', 'parked')
    ) g
    WHERE s.workspace_id = $1 AND s.source_app = j.source_app AND s.external_id = j.external_id
      AND s.event_id = j.event_id
) t ON true
WHERE j.workspace_id = $1 AND j.job_id = $2
  AND ($3::text[] IS NULL OR j.status = ANY($3))
  AND ($4::text IS NULL OR (j.source_app, j.external_id) > ($4, $5))
ORDER BY j.source_app, j.external_id LIMIT $6

-- cancel_job --
-- Mark a job as cancelled; the first time counts.
UPDATE import_jobs SET cancelled_at = coalesce(cancelled_at, now())
WHERE workspace_id = $1 AND job_id = $2 RETURNING job_id

-- stop_waiting --
-- A cancelled job has no calls that wait for their source any more.
WITH gone AS (
    DELETE FROM waiting_calls WHERE workspace_id = $1 AND job_id = $2 AND NOT from_webhook
    RETURNING source_app, external_id
)
UPDATE job_calls c SET status = 'discarded', reason = 'The import was cancelled while this call was not ready.',
    updated_at = now()
FROM gone g
WHERE c.job_id = $2 AND c.source_app = g.source_app AND c.external_id = g.external_id AND c.status = 'waiting'

-- job_source --
-- The source a job pulls from.
SELECT source_id, workspace_id, source_app FROM import_jobs
WHERE workspace_id = $1 AND job_id = $2 AND source_id IS NOT NULL

-- job_exists --
-- Whether there is such a job.
SELECT job_id FROM import_jobs WHERE workspace_id = $1 AND job_id = $2
