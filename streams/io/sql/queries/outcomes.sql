-- skip_job_calls --
-- Calls of jobs that turned out to be known already. What is stored stays "imported"; and a duplicate of a call whose
-- own import has failed is not reported as if all were well. What was erased is not said to be in the library.
UPDATE job_calls j SET
    status = CASE WHEN f.identity IS NULL THEN 'skipped' ELSE 'failed' END,
    reason = CASE WHEN e.external_id IS NOT NULL THEN $7 WHEN f.identity IS NULL THEN c.reason
        ELSE 'An earlier import of the same call failed: ' || f.message || ' Retry that one.' END,
    updated_at = now()
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
    AS c (workspace_id, job_id, source_app, external_id, reason, owner)
LEFT JOIN failed_imports f ON f.identity = c.owner AND f.status IN ('open', 'retrying', 'parked')
LEFT JOIN erased_calls e ON e.workspace_id = c.workspace_id AND e.source_app = c.source_app
    AND e.external_id = c.external_id
WHERE j.workspace_id = c.workspace_id AND j.job_id = c.job_id AND j.source_app = c.source_app
    AND j.external_id = c.external_id AND j.status IN ('pending', 'failed', 'waiting');

-- resolve_skipped --
-- A retried event turned out to be a duplicate: its own failed import is resolved.
UPDATE failed_imports f SET status = 'resolved', resolved_at = now(), next_retry_at = NULL
FROM unnest($1::text[]) AS c (identity)
WHERE f.identity = c.identity AND f.status IN ('open', 'retrying', 'parked');

-- beat --
-- A worker says that it lives, and whether it is ready.
INSERT INTO worker_heartbeats (worker, role, ready, detail, at) VALUES ($1, $2, $3, $4, now())
ON CONFLICT (worker) DO UPDATE SET role = excluded.role, ready = excluded.ready, detail = excluded.detail, at = now();

-- unbeat --
-- A worker says good-bye.
DELETE FROM worker_heartbeats WHERE worker = $1;
