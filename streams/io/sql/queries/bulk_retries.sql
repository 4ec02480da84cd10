-- begin --
-- A retry of everything a filter means, with a row for each call, and how many those are. Its maker has the lease.
WITH meant AS (
    SELECT failed_import_id FROM failed_imports
    WHERE workspace_id = $1 AND status = ANY($2::text[])
      AND ($3::text IS NULL OR stage = $3) AND ($4::text IS NULL OR reason = $4)
      AND ($5::text IS NULL OR source_app = $5) AND ($6::text IS NULL OR fingerprint = $6)
      AND ($7::uuid IS NULL OR job_id = $7) AND ($8::text IS NULL OR external_id = $8)
      AND ($9::text[] IS NULL OR NOT EXISTS (
          SELECT FROM unnest($9) w WHERE message NOT ILIKE w AND coalesce(external_id, '') NOT ILIKE w))
), bulk AS (
    INSERT INTO bulk_retries (bulk_retry_id, workspace_id, started_by, filter, rate, total, leased_by, leased_until)
    SELECT $10, $1, $11, $12, $13, count(*), $10, now() + make_interval(secs => $14) FROM meant
    RETURNING bulk_retry_id, total
), calls AS (
    INSERT INTO bulk_retry_calls (workspace_id, bulk_retry_id, failed_import_id)
    SELECT $1, b.bulk_retry_id, m.failed_import_id FROM meant m CROSS JOIN bulk b
)
SELECT total FROM bulk

-- take --
-- A lease on a retry that nobody works on, of whichever workspace; nothing where there is none.
SELECT bulk_retry_id, workspace_id, rate FROM take_bulk_retry_v1($1, $2)

-- renew --
-- Lengthen a lease, if it is still the holder's.
UPDATE bulk_retries SET leased_until = now() + make_interval(secs => $4)
WHERE workspace_id = $1 AND bulk_retry_id = $2 AND leased_by = $3 RETURNING true

-- release --
-- Give a lease back, if it is still the holder's.
UPDATE bulk_retries SET leased_until = NULL WHERE workspace_id = $1 AND bulk_retry_id = $2 AND leased_by = $3

-- finish --
-- The turn of the last one has come.
UPDATE bulk_retries SET finished_at = now(), leased_until = NULL
WHERE workspace_id = $1 AND bulk_retry_id = $2 AND leased_by = $3

-- next_turns --
-- Whose turn it is, the oldest first, and whether there is still something to send: neither what came through, was let
-- go or is on its way meanwhile, nor what was tried since the retry began.
SELECT c.failed_import_id,
       f.status IN ('open', 'parked') AND (f.retried_at IS NULL OR f.retried_at < b.created_at) AS to_send
FROM bulk_retry_calls c
JOIN bulk_retries b USING (bulk_retry_id)
JOIN failed_imports f USING (failed_import_id)
WHERE c.workspace_id = $1 AND c.bulk_retry_id = $2 AND c.sent_at IS NULL
ORDER BY c.failed_import_id LIMIT $3

-- had_their_turn --
-- Note of these that their turn has come, and when they were sent.
UPDATE bulk_retry_calls c SET sent_at = CASE WHEN f.retried_at >= b.created_at THEN f.retried_at ELSE now() END
FROM bulk_retries b, failed_imports f
WHERE c.workspace_id = $1 AND c.bulk_retry_id = $2 AND c.failed_import_id = ANY($3::uuid[])
  AND b.bulk_retry_id = c.bulk_retry_id AND f.failed_import_id = c.failed_import_id

-- find --
-- A retry of many with its calls by state. One that failed again stays so, also while it is tried once more.
SELECT b.bulk_retry_id, b.total, b.created_at, b.finished_at, c.*
FROM bulk_retries b CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE c.sent_at IS NOT NULL) AS sent,
           count(*) FILTER (WHERE c.sent_at IS NOT NULL AND f.status = 'resolved') AS resolved,
           count(*) FILTER (WHERE c.sent_at IS NOT NULL AND f.status = 'discarded') AS discarded,
           count(*) FILTER (WHERE f.status = 'retrying' AND f.last_seen_at <= c.sent_at) AS in_progress,
           max(coalesce(f.resolved_at, f.last_seen_at)) AS last_change
    FROM bulk_retry_calls c JOIN failed_imports f USING (failed_import_id)
    WHERE c.bulk_retry_id = b.bulk_retry_id AND c.workspace_id = $1
) c
WHERE b.workspace_id = $1 AND b.bulk_retry_id = $2

-- forget --
-- A retry of which nothing was sent.
DELETE FROM bulk_retries WHERE workspace_id = $1 AND bulk_retry_id = $2

-- drop_old --
-- Nobody asks any more how these went.
DELETE FROM bulk_retries WHERE workspace_id = $1 AND finished_at < now() - interval '30 days'
