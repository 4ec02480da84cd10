-- list_calls --
-- The library, newest first. $2 searches title and transcript the way a search engine reads a query.
SELECT recording_id, source_app, external_id, title, recording_start_time, duration_ms, participants,
       metadata_quality, source_metadata, imported_at, updated_at, import_job_id
FROM recordings
WHERE workspace_id = $1
  AND ($2::text IS NULL OR search @@ websearch_to_tsquery('simple', $2))
  AND ($3::text IS NULL OR source_app = $3)
  AND ($4::text IS NULL OR EXISTS (
      SELECT FROM jsonb_array_elements(participants) p
      WHERE strpos(lower(concat_ws(' ', p ->> 'name', p ->> 'email', p ->> 'phone')), lower($4)) > 0))
  AND ($5::timestamptz IS NULL OR coalesce(recording_start_time, imported_at) >= $5)
  AND ($6::timestamptz IS NULL OR coalesce(recording_start_time, imported_at) < $6)
  AND ($7::timestamptz IS NULL OR (imported_at, recording_id) < ($7, $8::uuid))
ORDER BY imported_at DESC, recording_id DESC LIMIT $9

-- find_call --
-- One call with everything it holds.
SELECT recording_id, source_app, external_id, title, recording_start_time, duration_ms, participants,
       metadata_quality, source_metadata, imported_at, updated_at, import_job_id, full_transcript, segments,
       original_transcript, media, language, bank_id
FROM recordings WHERE workspace_id = $1 AND recording_id = $2

-- find_call_media --
-- Where a call's recording is kept.
SELECT media FROM recordings WHERE workspace_id = $1 AND recording_id = $2

-- heartbeats --
-- What the workers said last, for readiness. One that has been silent for an hour was taken away on purpose.
SELECT worker, role, ready, detail, at > now() - make_interval(secs => $1) AS fresh
FROM worker_heartbeats WHERE at > now() - interval '1 hour' ORDER BY role, at DESC

-- ping --
-- Whether the database answers.
SELECT 1
