-- upsert_recordings --
-- Store a batch of calls, newer content over older, one row a call. Gives back only rows that were written.
-- Content has a total order, (observed_at, fingerprint), so every order of arrival ends in the same row. And the same
-- event mapped again by a later replay replaces what it brought before, also where only the title or metadata differ.
-- A row is imported, and updated, when its event was accepted, so that a replay over an emptied table gives the same row.
-- A call that was erased is left out: see erase.sql for how the two see each other.
INSERT INTO recordings AS r (
    recording_id, workspace_id, source_app, external_id, owner_user_id, bank_id, title, full_transcript, segments,
    participants, original_transcript, recording_start_time, duration_ms, language, media, source_metadata,
    metadata_quality, event_id, fingerprint, observed_at, received_at, import_job_id, replay_id, source_id, speakers,
    imported_at, updated_at
)
SELECT
    c.recording_id, c.workspace_id, c.source_app, c.external_id, coalesce(who.user_id, boss.user_id),
    coalesce(given.bank_id, own.bank_id), c.title, c.full_transcript, c.segments::jsonb, c.participants::jsonb,
    c.original_transcript, c.recording_start_time, c.duration_ms, c.language, c.media::jsonb, c.source_metadata::json,
    c.metadata_quality, c.event_id, c.fingerprint, c.observed_at, c.received_at, c.job_id, c.replay_id, c.source_id,
    c.speakers, c.received_at, c.received_at
FROM unnest(
    $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::timestamptz[], $13::bigint[], $14::text[], $15::text[], $16::text[], $17::text[],
    $18::uuid[], $19::text[], $20::timestamptz[], $21::timestamptz[], $22::uuid[], $23::uuid[], $24::uuid[], $25::text[]
) AS c (
    recording_id, workspace_id, source_app, external_id, owner_user_id, bank_id, title, full_transcript, segments,
    participants, original_transcript, recording_start_time, duration_ms, language, media, source_metadata,
    metadata_quality, event_id, fingerprint, observed_at, received_at, job_id, replay_id, source_id,
    speakers
)
LEFT JOIN memberships who ON who.workspace_id = c.workspace_id AND who.user_id = c.owner_user_id
LEFT JOIN LATERAL (
    SELECT m.user_id FROM memberships m WHERE m.workspace_id = c.workspace_id AND m.role = 'owner'
    ORDER BY m.user_id LIMIT 1
) boss ON true
LEFT JOIN banks given ON given.workspace_id = c.workspace_id AND given.bank_id = c.bank_id
LEFT JOIN banks own ON own.workspace_id = c.workspace_id AND own.personal_of = coalesce(who.user_id, boss.user_id)
WHERE NOT EXISTS (
    SELECT FROM erased_calls e
    WHERE e.workspace_id = c.workspace_id AND e.source_app = c.source_app AND e.external_id = c.external_id)
ORDER BY c.workspace_id, c.source_app, c.external_id
ON CONFLICT (workspace_id, source_app, external_id) DO UPDATE SET
    title = excluded.title, full_transcript = excluded.full_transcript, segments = excluded.segments,
    participants = excluded.participants, original_transcript = excluded.original_transcript,
    recording_start_time = excluded.recording_start_time, duration_ms = excluded.duration_ms,
    language = excluded.language, media = excluded.media, source_metadata = excluded.source_metadata,
    metadata_quality = excluded.metadata_quality, event_id = excluded.event_id, fingerprint = excluded.fingerprint,
    observed_at = greatest(excluded.observed_at, r.observed_at), received_at = excluded.received_at,
    replay_id = excluded.replay_id, source_id = coalesce(r.source_id, excluded.source_id),
    speakers = excluded.speakers, outcome = 'updated',
    updated_at = CASE WHEN r.event_id = excluded.event_id THEN now() ELSE excluded.updated_at END
WHERE (r.event_id <> excluded.event_id AND r.fingerprint <> excluded.fingerprint
        AND (excluded.observed_at, excluded.fingerprint) > (r.observed_at, r.fingerprint))
    OR (r.event_id = excluded.event_id AND excluded.replay_id > coalesce(r.replay_id, callstream_no_replay())
        AND (r.fingerprint <> excluded.fingerprint OR r.title <> excluded.title
            OR r.source_metadata::text <> excluded.source_metadata::text))
RETURNING r.workspace_id, r.source_app, r.external_id, r.recording_id, r.imported_at, (r.xmax = 0) AS is_new;

-- find_recordings --
-- The stored rows of calls whose upsert wrote nothing, to tell a redelivery from a duplicate from older content.
SELECT r.workspace_id, r.source_app, r.external_id, r.recording_id, r.event_id, r.fingerprint, r.imported_at,
    r.replay_id, r.outcome
FROM recordings r
JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS c (workspace_id, source_app, external_id)
    USING (workspace_id, source_app, external_id);

-- raise_observed --
-- The same content was seen again later: remember it, so that content seen in between cannot overwrite it.
-- Rows are locked in the order in which upsert_recordings locks them, so that the two never wait for each other.
WITH seen AS MATERIALIZED (
    SELECT r.recording_id, c.observed_at
    FROM recordings r
    JOIN unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
        AS c (workspace_id, source_app, external_id, fingerprint, observed_at)
        USING (workspace_id, source_app, external_id, fingerprint)
    WHERE r.observed_at < c.observed_at
    ORDER BY r.workspace_id, r.source_app, r.external_id
    FOR UPDATE OF r
)
UPDATE recordings r SET observed_at = seen.observed_at FROM seen WHERE r.recording_id = seen.recording_id;

-- upsert_imported_calls --
-- One status row a call. Gives back the import id, which stays the same over updates and redeliveries.
INSERT INTO imported_calls AS i (import_id, workspace_id, source_app, external_id, recording_id, status, event_id)
SELECT c.import_id, c.workspace_id, c.source_app, c.external_id, c.recording_id, c.status, c.event_id
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::uuid[])
    AS c (import_id, workspace_id, source_app, external_id, recording_id, status, event_id)
ORDER BY c.workspace_id, c.source_app, c.external_id
ON CONFLICT (workspace_id, source_app, external_id) DO UPDATE SET
    recording_id = excluded.recording_id, status = excluded.status, event_id = excluded.event_id, last_error = NULL,
    updated_at = now()
RETURNING i.workspace_id, i.source_app, i.external_id, i.import_id;

-- lock_job_calls --
-- Lock calls of jobs in one order for everybody, before they are changed in any.
SELECT FROM job_calls j
JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS c (job_id, source_app, external_id)
    USING (job_id, source_app, external_id)
ORDER BY j.job_id, j.source_app, j.external_id
FOR UPDATE OF j;

-- settle_job_calls --
-- Move the calls of jobs to where they ended. "skipped" gives way: a job that brought a call twice did store it.
UPDATE job_calls j SET status = c.status, reason = NULL, updated_at = now()
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
    AS c (workspace_id, job_id, source_app, external_id, status)
WHERE j.workspace_id = c.workspace_id AND j.job_id = c.job_id AND j.source_app = c.source_app AND j.external_id = c.external_id
    AND j.status IN ('pending', 'failed', 'waiting', 'discarded', 'skipped');

-- resolve_failed_imports --
-- The call got through: its failed imports are resolved by themselves. A failed import of newer content than is stored
-- stays open: only its retry brings that content in. So does one of a replay whose mapping is not stored.
UPDATE failed_imports f SET status = 'resolved', resolved_at = now(), next_retry_at = NULL
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS c (workspace_id, source_app, external_id)
JOIN recordings r USING (workspace_id, source_app, external_id)
WHERE f.workspace_id = c.workspace_id AND f.source_app = c.source_app AND f.external_id = c.external_id
    AND f.status IN ('open', 'retrying', 'parked') AND ((f.event_id = r.event_id
        AND (f.replay_id IS NULL OR f.replay_id <= r.replay_id)) OR f.observed_at < r.observed_at);

-- settle_failed_job_calls --
-- Calls of jobs that failed but are stored by now through another event, with nothing left to retry.
UPDATE job_calls j SET status = 'skipped', reason = 'This call is already in your library.', updated_at = now()
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS c (workspace_id, source_app, external_id)
JOIN recordings r USING (workspace_id, source_app, external_id)
WHERE j.workspace_id = c.workspace_id AND j.source_app = c.source_app AND j.external_id = c.external_id
    AND j.status = 'failed' AND NOT EXISTS (
        SELECT FROM failed_imports f
        WHERE f.workspace_id = j.workspace_id AND f.source_app = j.source_app AND f.external_id = j.external_id
            AND f.status IN ('open', 'retrying', 'parked')
    );

-- add_vault_entries --
-- File stored calls in the vaults they were sent to. Runs after the commit: a failure here costs no recording.
INSERT INTO vault_entries (workspace_id, vault_id, recording_id)
SELECT v.workspace_id, v.vault_id, c.recording_id
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS c (workspace_id, vault_id, recording_id)
JOIN vaults v ON v.workspace_id = c.workspace_id AND v.vault_id = c.vault_id
ORDER BY v.vault_id, c.recording_id
ON CONFLICT DO NOTHING;
