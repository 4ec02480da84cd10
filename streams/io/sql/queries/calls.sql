-- list_calls --
-- The library, newest first. source_app || '' is how the index over it is written.
SELECT recording_id, source_app, external_id, title, recording_start_time, duration_ms, participants,
       metadata_quality, source_metadata, imported_at, updated_at, import_job_id, source_id,
       media ->> 'ref' IS NOT NULL AS has_media, full_transcript <> '' IS TRUE OR segments <> '[]' AS has_transcript
FROM recordings
WHERE workspace_id = $1
  AND ($2::text IS NULL OR source_app || '' = $2)
  AND ($3::uuid IS NULL OR source_id = $3)
  AND ($4::text IS NULL OR EXISTS (
      SELECT FROM jsonb_array_elements(participants) p
      WHERE strpos(lower(concat_ws(' ', p ->> 'name', p ->> 'email', p ->> 'phone')), lower($4)) > 0))
  AND ($5::text IS NULL OR strpos(speakers, $5) > 0
      OR (speakers IS NULL AND callstream_speaks_v1(segments, participants, $5)))
  AND ($6::timestamptz IS NULL OR coalesce(recording_start_time, imported_at) >= $6)
  AND ($7::timestamptz IS NULL OR coalesce(recording_start_time, imported_at) < $7)
  AND ($8::timestamptz IS NULL OR (imported_at, recording_id) < ($8, $9::uuid))
ORDER BY imported_at DESC, recording_id DESC LIMIT $10

-- search_calls --
-- The calls whose title or transcript fit $2, read as a search engine reads a query. The door filters and cuts as
-- list_calls does, and may use the index. With the part of the transcript that is searched, and what is meant by $2.
SELECT recording_id, source_app, external_id, title, recording_start_time, duration_ms, participants,
       metadata_quality, source_metadata, imported_at, updated_at, import_job_id, source_id,
       media ->> 'ref' IS NOT NULL AS has_media, full_transcript <> '' IS TRUE OR segments <> '[]' AS has_transcript,
       left(full_transcript, 120000) AS searched, websearch_to_tsquery('simple', $2)::text AS wanted
FROM search_calls_v2($2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS found (recording_id)
JOIN recordings USING (recording_id)
WHERE workspace_id = $1
ORDER BY imported_at DESC, recording_id DESC

-- find_call --
-- One call with everything it holds.
SELECT recording_id, source_app, external_id, title, recording_start_time, duration_ms, participants,
       metadata_quality, source_metadata, imported_at, updated_at, import_job_id, source_id, full_transcript, segments,
       original_transcript, media, language, bank_id, media ->> 'ref' IS NOT NULL AS has_media,
       full_transcript <> '' IS TRUE OR segments <> '[]' AS has_transcript
FROM recordings WHERE workspace_id = $1 AND recording_id = $2

-- find_call_media --
-- Where a call's recording is kept.
SELECT media FROM recordings WHERE workspace_id = $1 AND recording_id = $2

-- find_owner --
-- Whose call it is, and its names.
SELECT owner_user_id, source_app, external_id FROM recordings WHERE workspace_id = $1 AND recording_id = $2

-- heartbeats --
-- What the workers said last, for readiness. One that has been silent for an hour was taken away on purpose.
SELECT worker, role, ready, detail, at > now() - make_interval(secs => $1) AS fresh
FROM worker_heartbeats WHERE at > now() - interval '1 hour' ORDER BY role, at DESC

-- ping --
-- Whether the database answers.
SELECT 1
