-- list_failed --
-- Failed imports, latest first, without their originals.
SELECT failed_import_id, event_id, source_app, external_id, job_id, stage, kind, reason, message, attempts, retryable,
       next_retry_at, retried_at, status, fingerprint, first_seen_at, last_seen_at, resolved_at
FROM failed_imports
WHERE workspace_id = $1 AND status = ANY($2::text[])
  AND ($3::text IS NULL OR stage = $3) AND ($4::text IS NULL OR reason = $4)
  AND ($5::text IS NULL OR source_app = $5) AND ($6::text IS NULL OR fingerprint = $6)
  AND ($7::uuid IS NULL OR job_id = $7) AND ($8::text IS NULL OR external_id = $8)
  AND ($9::timestamptz IS NULL OR (last_seen_at, failed_import_id) < ($9, $10::uuid))
ORDER BY last_seen_at DESC, failed_import_id DESC LIMIT $11

-- group_failed --
-- Failed imports of the same cause as one row each, the largest group first.
SELECT fingerprint, min(stage) AS stage, min(reason) AS reason, min(kind) AS kind, min(message) AS message,
       count(*) AS count, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at
FROM failed_imports
WHERE workspace_id = $1 AND status = ANY($2::text[])
  AND ($3::text IS NULL OR stage = $3) AND ($4::text IS NULL OR reason = $4)
  AND ($5::text IS NULL OR source_app = $5) AND ($6::text IS NULL OR fingerprint = $6)
  AND ($7::uuid IS NULL OR job_id = $7) AND ($8::text IS NULL OR external_id = $8)
GROUP BY fingerprint
HAVING $9::bigint IS NULL OR (count(*), fingerprint) < ($9, $10::text)
ORDER BY count(*) DESC, fingerprint DESC LIMIT $11

-- matching_failed --
-- Which failed imports a filter means, oldest first, so that a retry of many keeps their order.
SELECT failed_import_id FROM failed_imports
WHERE workspace_id = $1 AND status = ANY($2::text[])
  AND ($3::text IS NULL OR stage = $3) AND ($4::text IS NULL OR reason = $4)
  AND ($5::text IS NULL OR source_app = $5) AND ($6::text IS NULL OR fingerprint = $6)
  AND ($7::uuid IS NULL OR job_id = $7) AND ($8::text IS NULL OR external_id = $8)
ORDER BY first_seen_at, failed_import_id

-- find_failed --
-- One failed import with its original.
SELECT failed_import_id, event_id, source_app, external_id, job_id, stage, kind, reason, message, detail, attempts,
       retryable, next_retry_at, retried_at, status, fingerprint, first_seen_at, last_seen_at, resolved_at,
       origin_topic, origin_partition, origin_offset, original_key, original_value, original_headers
FROM failed_imports WHERE workspace_id = $1 AND failed_import_id = $2

-- failed_status --
-- Where a failed import stands.
SELECT status FROM failed_imports WHERE workspace_id = $1 AND failed_import_id = $2
