-- hold_storing --
-- Nobody stores a call of this workspace until we commit, and whoever was at it has ended. See `hold_erasing`.
SELECT pg_advisory_xact_lock(1163018579, hashtext($1::uuid::text));

-- hold_erasing --
-- No call of these workspaces is erased until we commit. A statement after this one sees what was erased before it.
SELECT pg_advisory_xact_lock_shared(1163018579, place)
FROM (SELECT DISTINCT hashtext(w::text) AS place FROM unnest($1::uuid[]) AS w ORDER BY 1) AS places;

-- erased --
-- Which of these calls were erased.
SELECT e.workspace_id, e.source_app, e.external_id FROM erased_calls e
JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS c (workspace_id, source_app, external_id)
    USING (workspace_id, source_app, external_id);

-- named_calls --
-- By which names a call is known here: sources with a call of this external id.
SELECT c.source_app, max(c.title) AS title, bool_or(c.is_erased) AS is_erased, bool_or(NOT c.is_erased) AS is_here
FROM (
    SELECT source_app, title, false AS is_erased FROM recordings WHERE workspace_id = $1 AND external_id = $2
    UNION ALL SELECT source_app, NULL, false FROM imported_calls
        WHERE workspace_id = $1 AND external_id = $2 AND status <> 'discarded'
    UNION ALL SELECT source_app, NULL, false FROM failed_imports WHERE workspace_id = $1 AND external_id = $2
    UNION ALL SELECT source_app, NULL, false FROM waiting_calls WHERE workspace_id = $1 AND external_id = $2
    UNION ALL SELECT source_app, NULL, true FROM erased_calls WHERE workspace_id = $1 AND external_id = $2
) c
WHERE c.source_app IS NOT NULL AND ($3::text IS NULL OR c.source_app = $3)
GROUP BY c.source_app ORDER BY c.source_app;

-- traces --
-- Where the call may have left something outside the database: its recording, and every event known of it.
SELECT
    (SELECT array_agg(r.media ->> 'ref') FROM recordings r
     WHERE r.workspace_id = $1 AND r.source_app = $2 AND r.external_id = $3 AND r.media ->> 'ref' IS NOT NULL) AS media,
    (SELECT array_agg(r.media ->> 'sha256') FROM recordings r
     WHERE r.workspace_id = $1 AND r.source_app = $2 AND r.external_id = $3
         AND r.media ->> 'sha256' IS NOT NULL) AS audio,
    (SELECT array_agg(DISTINCT t.event_id) FROM (
        SELECT event_id FROM recordings WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3
        UNION SELECT event_id FROM imported_calls WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3
        UNION SELECT event_id FROM job_calls WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3
        UNION SELECT event_id FROM failed_imports WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3
        UNION SELECT event_id FROM transcriptions WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3
    ) t WHERE t.event_id IS NOT NULL) AS events;

-- originals --
-- What failed imports of the call hold of it.
SELECT original_value FROM failed_imports
WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3 AND original_value IS NOT NULL;

-- add_tombstone --
-- The call is erased, and this is still to be removed. Erased twice, the first time counts.
INSERT INTO erased_calls AS e (
    workspace_id, source_app, external_id, erased_by, left_media, left_audio, left_events, left_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
ON CONFLICT (workspace_id, source_app, external_id) DO UPDATE SET
    left_media = ARRAY(SELECT unnest(e.left_media) UNION SELECT unnest(excluded.left_media)),
    left_audio = ARRAY(SELECT unnest(e.left_audio) UNION SELECT unnest(excluded.left_audio)),
    left_events = ARRAY(SELECT unnest(e.left_events) UNION SELECT unnest(excluded.left_events)),
    left_at = clock_timestamp();

-- drop_recording --
-- The call itself; its vault entries go with it.
DELETE FROM recordings WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3 RETURNING recording_id;

-- close_imported_call --
-- What is left of its import is that there was one.
UPDATE imported_calls SET status = 'discarded', recording_id = NULL, last_error = $4, updated_at = now()
WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3;

-- drop_waiting --
-- Nobody waits for it any more.
DELETE FROM waiting_calls WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3;

-- close_job_calls --
-- Jobs count it as let go; one that is on its way ends by itself, as skipped. Files have names that say something.
WITH mine AS MATERIALIZED (
    SELECT job_id FROM job_calls WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3
    ORDER BY job_id FOR UPDATE
)
UPDATE job_calls j SET filename = NULL,
    status = CASE WHEN j.status = 'pending' THEN j.status ELSE 'discarded' END,
    reason = CASE WHEN j.status = 'pending' THEN j.reason ELSE $4 END, updated_at = now()
FROM mine m WHERE j.job_id = m.job_id AND j.workspace_id = $1 AND j.source_app = $2 AND j.external_id = $3;

-- drop_failed --
-- Its failed imports, whatever their state: they hold the original.
DELETE FROM failed_imports WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3 RETURNING failed_import_id;

-- drop_transcriptions --
-- Where its transcription stood.
DELETE FROM transcriptions WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3;

-- blank_deliveries --
-- What was told to others of it keeps the ids and loses the title.
UPDATE outgoing_deliveries SET body = jsonb_set(body, '{data,title}', '""')
WHERE workspace_id = $1 AND body #>> '{data,source_app}' = $2 AND body #>> '{data,external_id}' = $3
    AND body #> '{data,title}' IS NOT NULL;

-- blank_reports --
-- Dry runs of replays show excerpts of calls.
UPDATE replays SET report = jsonb_set(report, '{sample}', coalesce((
    SELECT jsonb_agg(s) FROM jsonb_array_elements(report -> 'sample') s
    WHERE s ->> 'source_app' IS DISTINCT FROM $2 OR s ->> 'external_id' IS DISTINCT FROM $3), '[]'))
WHERE workspace_id = $1
    AND report @> jsonb_build_object(
        'sample', jsonb_build_array(jsonb_build_object('source_app', $2::text, 'external_id', $3::text)));

-- forget_answers --
-- Remembered answers to uploads name the file.
DELETE FROM idempotency_keys
WHERE workspace_id = $1 AND response @> jsonb_build_object(
    'calls', jsonb_build_array(jsonb_build_object('external_id', $2::text)));

-- forget_transcripts --
-- What was heard in these recordings, unless another call has the same one.
DELETE FROM transcripts t
WHERE t.workspace_id = $1 AND t.audio_sha256 = ANY($2::text[]) AND NOT EXISTS (
    SELECT FROM recordings r WHERE r.workspace_id = $1 AND r.media ->> 'sha256' = t.audio_sha256 AND r.media IS NOT NULL)
RETURNING audio_sha256;

-- forget_chunks --
-- The same of their parts. The rows stay under a name that means nothing: usage is counted from them.
UPDATE transcript_chunks t SET result = '{}', audio_sha256 = 'erased-' || gen_random_uuid()
WHERE t.workspace_id = $1 AND t.audio_sha256 = ANY($2::text[]) AND NOT EXISTS (
    SELECT FROM recordings r WHERE r.workspace_id = $1 AND r.media ->> 'sha256' = t.audio_sha256 AND r.media IS NOT NULL);

-- left_of --
-- What an erased call has left behind.
SELECT left_media, left_audio, left_events, left_at FROM erased_calls
WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3 AND left_at IS NOT NULL;

-- still_used --
-- Which of these objects another call's recording is.
SELECT DISTINCT r.media ->> 'ref' AS ref FROM recordings r
JOIN unnest($2::text[]) AS o (ref) ON r.media ->> 'sha256' = split_part(o.ref, '/', -2) AND r.media ->> 'ref' = o.ref
WHERE r.workspace_id = $1 AND r.media IS NOT NULL;

-- nothing_left --
-- All of that is removed, and nothing was added meanwhile.
UPDATE erased_calls SET left_media = '{}', left_audio = '{}', left_events = '{}', left_at = NULL
WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3 AND left_at = $4;

-- note_left --
-- Erased calls came once more and were not stored. What came with them is to be removed.
WITH mine AS MATERIALIZED (
    SELECT e.workspace_id, e.source_app, e.external_id, c.ref, c.sha256, c.event_id FROM erased_calls e
    JOIN unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[])
        AS c (workspace_id, source_app, external_id, ref, sha256, event_id)
        USING (workspace_id, source_app, external_id)
    ORDER BY e.workspace_id, e.source_app, e.external_id FOR UPDATE OF e
)
UPDATE erased_calls e SET
    left_media = ARRAY(SELECT unnest(e.left_media) UNION SELECT m.ref WHERE m.ref IS NOT NULL),
    left_audio = ARRAY(SELECT unnest(e.left_audio) UNION SELECT m.sha256 WHERE m.sha256 IS NOT NULL),
    left_events = ARRAY(SELECT unnest(e.left_events) UNION SELECT m.event_id),
    left_at = clock_timestamp()
FROM mine m
WHERE e.workspace_id = m.workspace_id AND e.source_app = m.source_app AND e.external_id = m.external_id;

-- calls_with_left --
-- Erased calls that have left something behind for a while.
SELECT workspace_id, source_app, external_id FROM erased_calls
WHERE left_at < now() - make_interval(secs => $1) ORDER BY left_at LIMIT $2;
