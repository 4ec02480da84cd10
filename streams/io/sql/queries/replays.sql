-- latest_replay --
-- The newest replay of the workspace.
SELECT replay_id FROM replays WHERE workspace_id = $1 ORDER BY replay_id DESC LIMIT 1

-- add_replay --
-- A new replay and its job, which is open until the replay is over.
WITH job AS (
    INSERT INTO import_jobs (job_id, workspace_id, job_type, source_app, created_by, open_ended)
    VALUES ($1, $2, 'replay', $3, $4, true) RETURNING job_id, workspace_id
)
INSERT INTO replays (replay_id, workspace_id, selection, dry_run, rate)
SELECT job_id, workspace_id, $5::jsonb, $6::boolean, $7::float8 FROM job

-- list_replays --
-- Replays, newest first, each with its calls counted by state.
WITH page AS (
    SELECT * FROM replays
    WHERE workspace_id = $1 AND ($2::uuid IS NULL OR replay_id = $2) AND ($3::uuid IS NULL OR replay_id < $3)
    ORDER BY replay_id DESC LIMIT $4
)
SELECT p.*, j.created_by, j.created_at, j.started_at, j.last_error, c.*
FROM page p JOIN import_jobs j ON j.job_id = p.replay_id CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'pending') AS pending,
           count(*) FILTER (WHERE status = 'imported') AS imported,
           count(*) FILTER (WHERE status = 'updated') AS updated,
           count(*) FILTER (WHERE status = 'skipped') AS skipped,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE status = 'waiting') AS waiting,
           count(*) FILTER (WHERE status = 'discarded') AS discarded,
           count(*) FILTER (WHERE status = 'refused') AS refused
    FROM job_calls k WHERE k.job_id = p.replay_id AND k.workspace_id = $1
) c
ORDER BY p.replay_id DESC

-- cancel_replay --
-- Stop a replay and close its job. Gives nothing back when it was over already.
WITH stopped AS (
    UPDATE replays SET state = 'cancelled', finished_at = now()
    WHERE workspace_id = $1 AND replay_id = $2 AND state IN ('queued', 'reading', 'finishing')
    RETURNING replay_id
)
UPDATE import_jobs j SET cancelled_at = coalesce(j.cancelled_at, now()), open_ended = false
FROM stopped s WHERE j.job_id = s.replay_id RETURNING j.job_id

-- due_replays --
-- What the engine works on, oldest first. A replay that only waits for what it published is in nobody's way.
(SELECT replay_id FROM replays WHERE state = 'finishing')
UNION ALL
(SELECT replay_id FROM replays WHERE state IN ('queued', 'reading') ORDER BY replay_id LIMIT $1)

-- close_cancelled --
-- A replay whose job was cancelled is cancelled.
WITH stopped AS (
    UPDATE replays r SET state = 'cancelled', finished_at = now()
    FROM import_jobs j
    WHERE r.replay_id = $1 AND j.job_id = r.replay_id AND j.cancelled_at IS NOT NULL
        AND r.state IN ('queued', 'reading', 'finishing')
    RETURNING r.replay_id
)
UPDATE import_jobs j SET open_ended = false FROM stopped s WHERE j.job_id = s.replay_id

-- find_replay --
-- A replay that is not over.
SELECT r.*, j.created_by, j.created_at, j.started_at, j.last_error
FROM replays r JOIN import_jobs j ON j.job_id = r.replay_id
WHERE r.replay_id = $1 AND r.state IN ('queued', 'reading', 'finishing')

-- start_replay --
-- Begin to read between the given offsets.
WITH begun AS (
    UPDATE replays SET state = 'reading', cursor = $2, total_events = $3, read_events = 0, matched_events = 0,
        published_events = 0
    WHERE replay_id = $1 AND state IN ('queued', 'reading') RETURNING replay_id
)
UPDATE import_jobs j SET started_at = now() FROM begun b WHERE j.job_id = b.replay_id

-- expect_calls --
-- The calls of a batch, before they are published.
INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, event_id)
SELECT $1, $2, c.source_app, c.external_id, c.event_id
FROM unnest($3::text[], $4::text[], $5::uuid[]) AS c (source_app, external_id, event_id)
ON CONFLICT DO NOTHING

-- advance_replay --
-- A batch is done. Gives nothing back when the replay was stopped meanwhile.
UPDATE replays r SET cursor = $2, read_events = r.read_events + $3, matched_events = r.matched_events + $4,
    published_events = r.published_events + $5
FROM import_jobs j
WHERE r.replay_id = $1 AND r.state = 'reading' AND j.job_id = r.replay_id AND j.cancelled_at IS NULL
RETURNING r.replay_id

-- finish_replay --
-- All is read and published.
UPDATE replays SET state = 'finishing', read_events = total_events WHERE replay_id = $1 AND state = 'reading'

-- close_replay --
-- The replay is over, and so is its job.
WITH closed AS (
    UPDATE replays SET state = $2, report = $3, finished_at = now()
    WHERE replay_id = $1 AND state IN ('queued', 'reading', 'finishing') RETURNING replay_id
)
UPDATE import_jobs j SET open_ended = false, last_error = $4,
    total_calls = (SELECT count(*) FROM job_calls k WHERE k.job_id = $1)
FROM closed c WHERE j.job_id = c.replay_id

-- stored_calls --
-- What decides whether an event replaces these calls' content. Metadata as text, because upsert_recordings compares it so.
SELECT r.source_app, r.external_id, r.event_id, r.fingerprint, r.observed_at, r.replay_id,
    r.title, r.source_metadata::text AS source_metadata
FROM recordings r
JOIN unnest($2::text[], $3::text[]) AS c (source_app, external_id) USING (source_app, external_id)
WHERE r.workspace_id = $1

-- stored_content --
-- What a person sees of a call, to show what a replay would change.
SELECT title, recording_start_time, duration_ms, language, participants, metadata_quality, full_transcript, segments,
    original_transcript, source_metadata
FROM recordings WHERE workspace_id = $1 AND source_app = $2 AND external_id = $3
