-- plan_of --
-- The plan of a workspace.
SELECT plan FROM workspaces WHERE workspace_id = $1

-- imported_since --
-- Calls that came into the library since a time.
SELECT count(*) FROM recordings WHERE workspace_id = $1 AND imported_at >= $2

-- on_the_way --
-- Calls of the jobs since a time that were accepted, or wait for their source, and are not in the library.
SELECT count(*) FROM (
    SELECT DISTINCT c.source_app, c.external_id
    FROM import_jobs j JOIN job_calls c USING (job_id)
    WHERE j.workspace_id = $1 AND j.created_at >= $2 AND j.job_type <> 'replay'
        AND (c.status = 'waiting' OR (c.status = 'pending' AND c.accepted))
        AND NOT EXISTS (
            SELECT FROM recordings r
            WHERE r.workspace_id = $1 AND r.source_app = c.source_app AND r.external_id = c.external_id)
) AS coming

-- set_plan --
-- Give a workspace another plan.
UPDATE workspaces SET plan = $2 WHERE workspace_id = $1

-- let_go_of_held --
-- Jobs that were held for a reason that may be gone: the schedule sends them at its next round, and they are looked at.
UPDATE import_jobs SET resume_at = now()
WHERE workspace_id = $1 AND held_for = $2 AND phase IN ('counting', 'pulling') AND resume_at > now()

-- stored_of --
-- Which of these calls are in the library: they take no place again.
SELECT external_id FROM recordings WHERE workspace_id = $1 AND source_app = $2 AND external_id = ANY($3::text[])
