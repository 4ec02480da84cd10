-- await_job_call --
-- The call of a job waits for its retry. Comes before start_retry: whoever stores a call locks in that order too.
UPDATE job_calls j SET status = 'pending', reason = NULL, updated_at = now()
FROM failed_imports f
WHERE f.failed_import_id = $1 AND f.workspace_id = $2 AND j.workspace_id = f.workspace_id AND j.job_id = f.job_id
    AND j.source_app = f.source_app AND j.external_id = f.external_id AND j.status = 'failed';

-- start_retry --
-- Mark a failed import as being retried and give back its untouched original, and how it stood before.
WITH was AS (
    SELECT failed_import_id, status, retried_at, next_retry_at FROM failed_imports
    WHERE failed_import_id = $1 AND workspace_id = $2 AND status IN ('open', 'parked', 'retrying')
    FOR UPDATE
)
UPDATE failed_imports f SET status = 'retrying', retried_at = now(), next_retry_at = NULL
FROM was WHERE f.failed_import_id = was.failed_import_id
RETURNING f.failed_import_id, f.identity, f.event_id, f.origin_topic, f.original_key, f.original_value,
    f.original_headers, f.attempts, f.job_id, f.source_app, f.external_id, f.message, was.status AS old_status, was.retried_at AS old_retried_at,
    was.next_retry_at AS old_next_retry_at;

-- reopen --
-- A retry could not be sent: the failed import stands as it did before.
UPDATE failed_imports SET status = $2, retried_at = $3, next_retry_at = $4
WHERE failed_import_id = $1 AND status = 'retrying';

-- discard_call --
-- The call's own rows say that it was let go, unless it is stored. Comes before discard, as await_job_call does.
WITH f AS (
    SELECT workspace_id, source_app, external_id, job_id FROM failed_imports
    WHERE failed_import_id = $1 AND workspace_id = $2
), job AS (
    UPDATE job_calls j SET status = 'discarded', updated_at = now()
    FROM f WHERE j.workspace_id = f.workspace_id AND j.job_id = f.job_id AND j.source_app = f.source_app
        AND j.external_id = f.external_id AND j.status = 'failed'
)
UPDATE imported_calls i SET status = 'discarded', updated_at = now()
FROM f WHERE i.workspace_id = f.workspace_id AND i.source_app = f.source_app AND i.external_id = f.external_id
    AND i.status = 'failed';

-- discard --
-- Let go of a failed import.
UPDATE failed_imports SET status = 'discarded', next_retry_at = NULL, resolved_at = now()
WHERE failed_import_id = $1 AND workspace_id = $2 AND status IN ('open', 'parked', 'retrying')
RETURNING event_id, source_app, external_id, first_seen_at;

-- due_retries --
-- Failed imports whose automatic retry is due, and retries that never came to an end.
SELECT failed_import_id, workspace_id FROM failed_imports
WHERE (status = 'open' AND next_retry_at <= now())
    OR (status = 'retrying' AND retried_at < now() - make_interval(secs => $1))
ORDER BY coalesce(next_retry_at, retried_at)
LIMIT $2;
