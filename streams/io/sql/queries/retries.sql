-- start_retry --
-- Mark a failed import as being retried and give back its untouched original.
UPDATE failed_imports SET status = 'retrying', retried_at = now(), next_retry_at = NULL
WHERE failed_import_id = $1 AND workspace_id = $2 AND status IN ('open', 'parked', 'retrying')
RETURNING failed_import_id, origin_topic, original_key, original_value, original_headers, attempts, job_id, source_app,
    external_id, event_id;

-- await_job_call --
-- The call of a job waits for its retry.
UPDATE job_calls SET status = 'pending', reason = NULL, updated_at = now()
WHERE job_id = $1 AND source_app = $2 AND external_id = $3 AND status = 'failed';

-- reopen --
-- A retry could not be sent: the failed import is open again, and due at once.
UPDATE failed_imports SET status = 'open', next_retry_at = CASE WHEN retryable THEN now() END
WHERE failed_import_id = $1 AND status = 'retrying';

-- discard --
-- Let go of a failed import.
UPDATE failed_imports SET status = 'discarded', next_retry_at = NULL, resolved_at = now()
WHERE failed_import_id = $1 AND workspace_id = $2 AND status IN ('open', 'parked', 'retrying')
RETURNING event_id, source_app, external_id, job_id, first_seen_at, origin_topic;

-- discard_call --
-- The call's own rows say so too, unless it is stored.
WITH job AS (
    UPDATE job_calls SET status = 'discarded', updated_at = now()
    WHERE job_id = $4 AND source_app = $2 AND external_id = $3 AND status = 'failed'
)
UPDATE imported_calls SET status = 'discarded', updated_at = now()
WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3 AND status = 'failed';

-- due_retries --
-- Failed imports whose automatic retry is due, and retries that never came to an end.
SELECT failed_import_id, workspace_id FROM failed_imports
WHERE (status = 'open' AND next_retry_at <= now())
    OR (status = 'retrying' AND retried_at < now() - make_interval(secs => $1))
ORDER BY coalesce(next_retry_at, retried_at)
LIMIT $2;
