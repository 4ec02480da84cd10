-- bank_exists --
-- Whether a bank of this workspace may be filed into by this person: not somebody else's personal one.
SELECT EXISTS (
    SELECT FROM banks WHERE workspace_id = $1 AND bank_id = $2 AND (personal_of IS NULL OR personal_of = $3)
)

-- vault_exists --
-- Whether a vault is of this workspace, in a bank this person may file into, and in bank $4 if one is named.
SELECT EXISTS (
    SELECT FROM vaults v JOIN banks b USING (workspace_id, bank_id)
    WHERE v.workspace_id = $1 AND v.vault_id = $2 AND (b.personal_of IS NULL OR b.personal_of = $3)
      AND ($4::uuid IS NULL OR v.bank_id = $4)
)

-- stored_already --
-- Which of these calls are in the library.
SELECT external_id FROM imported_calls
WHERE workspace_id = $1 AND source_app = $2 AND external_id = ANY($3::text[]) AND status IN ('imported', 'updated')

-- erased_already --
-- Which of these calls were erased.
SELECT external_id FROM erased_calls
WHERE workspace_id = $1 AND source_app = $2 AND external_id = ANY($3::text[])

-- add_job --
-- A job whose calls are all known.
INSERT INTO import_jobs (job_id, workspace_id, job_type, source_app, created_by, total_calls, open_ended)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- add_job_calls --
-- The calls of a job, before they are published. A call that is there already keeps its row.
INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, filename, event_id)
SELECT $1, $2, c.source_app, c.external_id, c.filename, c.event_id
FROM unnest($3::text[], $4::text[], $5::text[], $6::uuid[]) AS c (source_app, external_id, filename, event_id)
ON CONFLICT DO NOTHING

-- refuse_job_calls --
-- Calls that could not be published after all. One that has got through nevertheless keeps its state.
UPDATE job_calls SET status = 'refused', reason = $4, updated_at = now()
WHERE workspace_id = $1 AND job_id = $2 AND event_id = ANY($3::uuid[]) AND status = 'pending'

-- set_job_error --
-- Why a job could not begin or go on.
UPDATE import_jobs SET last_error = $3 WHERE workspace_id = $1 AND job_id = $2

-- close_job --
-- No more calls will be added: the total is what was counted.
UPDATE import_jobs SET open_ended = false, total_calls = (SELECT count(*) FROM job_calls c WHERE c.job_id = $2)
WHERE workspace_id = $1 AND job_id = $2

-- forget_idempotency_key --
-- A key is remembered for a day; one whose request died half-way is free again after a minute.
DELETE FROM idempotency_keys
WHERE workspace_id = $1 AND key = $2
  AND (created_at < now() - interval '24 hours' OR (response IS NULL AND created_at < now() - interval '60 seconds'))

-- take_idempotency_key --
-- Take the key for this request. Gives nothing back when another request has it.
INSERT INTO idempotency_keys (workspace_id, key, request_hash) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING key

-- find_idempotency_key --
-- What the request that has the key was, and what it was answered; no answer yet: it is still running.
SELECT request_hash, response FROM idempotency_keys WHERE workspace_id = $1 AND key = $2

-- keep_idempotency_key --
-- The request is still running.
UPDATE idempotency_keys SET created_at = now() WHERE workspace_id = $1 AND key = $2 AND response IS NULL

-- answer_idempotency_key --
-- Remember the answer.
UPDATE idempotency_keys SET response = $3, created_at = now() WHERE workspace_id = $1 AND key = $2

-- drop_idempotency_key --
-- The request failed: the same key may try again.
DELETE FROM idempotency_keys WHERE workspace_id = $1 AND key = $2 AND response IS NULL
