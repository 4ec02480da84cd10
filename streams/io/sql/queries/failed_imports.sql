-- list_failed --
-- Failed imports, latest first, without their originals.
SELECT failed_import_id, event_id, source_app, external_id, job_id, stage, kind, reason, message, attempts, retryable,
       next_retry_at, retried_at, status, fingerprint, first_seen_at, last_seen_at, resolved_at,
       (SELECT filename FROM job_calls j WHERE j.workspace_id = f.workspace_id AND j.job_id = f.job_id
           AND j.source_app = f.source_app AND j.external_id = f.external_id) AS filename
FROM failed_imports f
WHERE workspace_id = $1 AND status = ANY($2::text[])
  AND ($3::text IS NULL OR stage = $3) AND ($4::text IS NULL OR reason = $4)
  AND ($5::text IS NULL OR source_app = $5) AND ($6::text IS NULL OR fingerprint = $6)
  AND ($7::uuid IS NULL OR job_id = $7) AND ($8::text IS NULL OR external_id = $8)
  AND ($9::text[] IS NULL OR NOT EXISTS (
      SELECT FROM unnest($9) w WHERE message NOT ILIKE w AND coalesce(external_id, '') NOT ILIKE w))
  AND ($10::timestamptz IS NULL OR (last_seen_at, failed_import_id) < ($10, $11::uuid))
ORDER BY last_seen_at DESC, failed_import_id DESC LIMIT $12

-- group_failed --
-- Failed imports of the same cause as one row each, the largest group first.
SELECT fingerprint, min(stage) AS stage, min(reason) AS reason, min(kind) AS kind, min(message) AS message,
       count(*) AS count, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at,
       array_remove(array_agg(DISTINCT source_app), NULL) AS source_apps, bool_or(retryable) AS retryable
FROM failed_imports
WHERE workspace_id = $1 AND status = ANY($2::text[])
  AND ($3::text IS NULL OR stage = $3) AND ($4::text IS NULL OR reason = $4)
  AND ($5::text IS NULL OR source_app = $5) AND ($6::text IS NULL OR fingerprint = $6)
  AND ($7::uuid IS NULL OR job_id = $7) AND ($8::text IS NULL OR external_id = $8)
  AND ($9::text[] IS NULL OR NOT EXISTS (
      SELECT FROM unnest($9) w WHERE message NOT ILIKE w AND coalesce(external_id, '') NOT ILIKE w))
GROUP BY fingerprint
HAVING $10::bigint IS NULL OR (count(*), fingerprint) < ($10, $11::text)
ORDER BY count(*) DESC, fingerprint DESC LIMIT $12

-- matching_failed --
-- Which failed imports a filter means, oldest first, so that a retry of many keeps their order.
SELECT failed_import_id FROM failed_imports
WHERE workspace_id = $1 AND status = ANY($2::text[])
  AND ($3::text IS NULL OR stage = $3) AND ($4::text IS NULL OR reason = $4)
  AND ($5::text IS NULL OR source_app = $5) AND ($6::text IS NULL OR fingerprint = $6)
  AND ($7::uuid IS NULL OR job_id = $7) AND ($8::text IS NULL OR external_id = $8)
  AND ($9::text[] IS NULL OR NOT EXISTS (
      SELECT FROM unnest($9) w WHERE message NOT ILIKE w AND coalesce(external_id, '') NOT ILIKE w))
ORDER BY first_seen_at, failed_import_id

-- find_failed --
-- One failed import with its original, and the call in the library where it came through since or before.
SELECT failed_import_id, event_id, source_app, external_id, job_id, stage, kind, reason, message, detail, attempts,
       retryable, next_retry_at, retried_at, status, fingerprint, first_seen_at, last_seen_at, resolved_at,
       origin_topic, origin_partition, origin_offset, original_key, original_value, original_headers,
       (SELECT filename FROM job_calls j WHERE j.workspace_id = f.workspace_id AND j.job_id = f.job_id
           AND j.source_app = f.source_app AND j.external_id = f.external_id) AS filename,
       (SELECT recording_id FROM imported_calls i WHERE i.workspace_id = f.workspace_id
           AND i.source_app = f.source_app AND i.external_id = f.external_id) AS call_id
FROM failed_imports f WHERE workspace_id = $1 AND failed_import_id = $2

-- failed_status --
-- Where a failed import stands.
SELECT status FROM failed_imports WHERE workspace_id = $1 AND failed_import_id = $2
