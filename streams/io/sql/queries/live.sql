-- moving_jobs --
-- Among the $3 newest jobs, those that are not over or that changed since $2 otherwise than by a call's outcome. The
-- limit at the end keeps PostgreSQL from reading the waiting calls of everybody.
SELECT p.job_id FROM (
    SELECT job_id, created_at, cancelled_at, failed_at, done_at, phase, open_ended FROM import_jobs
    WHERE workspace_id = $1 ORDER BY created_at DESC, job_id DESC LIMIT $3
) p
WHERE greatest(p.created_at, p.cancelled_at, p.failed_at, p.done_at) >= $2
   OR (p.cancelled_at IS NULL AND p.failed_at IS NULL AND (p.open_ended OR p.phase IN ('counting', 'pulling')))
   OR (SELECT true FROM job_calls c
       WHERE c.job_id = p.job_id AND c.workspace_id = $1 AND c.status IN ('pending', 'waiting', 'failed', 'discarded')
         AND (c.status IN ('pending', 'waiting') OR c.updated_at >= $2) LIMIT 1)

-- read_jobs --
-- These jobs, each with its calls counted by state and the latest thing that went wrong.
SELECT p.job_id, p.job_type, p.source_app, p.source_id, p.total_calls, p.open_ended, p.cancelled_at,
       coalesce(p.last_error, (
           SELECT e.reason FROM job_calls e
           WHERE e.workspace_id = $1 AND e.job_id = p.job_id AND e.status IN ('failed', 'refused')
           ORDER BY e.updated_at DESC, e.source_app, e.external_id LIMIT 1)) AS last_error,
       p.created_at, p.started_at, p.phase, p.resume_at, p.estimated_calls, p.failed_at, p.done_at,
       (SELECT state FROM replays r WHERE r.replay_id = p.job_id) AS replay_state,
       (SELECT max(w.next_try_at) FROM waiting_calls w WHERE w.source_id = p.source_id AND w.job_id = p.job_id)
           AS waiting_until, c.*
FROM import_jobs p CROSS JOIN LATERAL (
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
WHERE p.workspace_id = $1 AND p.job_id = ANY($2)

-- failed_by_stage --
-- Open failed imports of a workspace, counted by the stage they failed in.
SELECT stage, count(*) AS count FROM failed_imports WHERE workspace_id = $1 AND status = 'open' GROUP BY stage
