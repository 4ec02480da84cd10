-- Replays of the raw archive, long recordings in parts, and where each transcription stands.
--
-- recordings.replay_id: the replay that wrote the row last. The same event mapped again by a later replay replaces what
-- it brought before; see upsert_recordings. recordings.outcome: what the row's last write was, for redelivered events.

CREATE FUNCTION callstream_no_replay() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT '00000000-0000-0000-0000-000000000000'::uuid $$;

-- A duplicate raises its row's observed_at: with room on the page that touches no index.
ALTER TABLE recordings SET (fillfactor = 75);
ALTER TABLE recordings ADD COLUMN replay_id uuid;
ALTER TABLE recordings ADD COLUMN outcome text NOT NULL DEFAULT 'imported' CHECK (outcome IN ('imported', 'updated'));
UPDATE recordings SET outcome = 'updated' WHERE updated_at > imported_at;

ALTER TABLE failed_imports ADD COLUMN replay_id uuid;

CREATE TABLE replays (
    replay_id uuid PRIMARY KEY REFERENCES import_jobs (job_id) ON DELETE CASCADE,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    selection jsonb NOT NULL,
    dry_run boolean NOT NULL,
    rate numeric CHECK (rate > 0),
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'reading', 'finishing', 'done', 'failed', 'cancelled')),
    cursor jsonb NOT NULL DEFAULT '{}',
    read_events bigint NOT NULL DEFAULT 0,
    total_events bigint,
    matched_events bigint NOT NULL DEFAULT 0,
    published_events bigint NOT NULL DEFAULT 0,
    report jsonb NOT NULL DEFAULT '{}',
    finished_at timestamptz
);
COMMENT ON COLUMN replays.selection IS 'from, to, source_app, external_id, topic: what is read again';
COMMENT ON COLUMN replays.cursor IS 'per "topic/partition": [next offset, end]; the end is fixed when the replay starts';
COMMENT ON COLUMN replays.total_events IS 'records between the first and the last offset; null until the replay starts';
COMMENT ON COLUMN replays.report IS 'of a dry run: counts of what would change, and a sample of before and after';
CREATE INDEX replays_due ON replays (replay_id) WHERE state IN ('queued', 'reading', 'finishing');

CREATE TABLE transcript_chunks (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    audio_sha256 text NOT NULL,
    model text NOT NULL,
    language text NOT NULL DEFAULT '',
    start_ms bigint NOT NULL,
    end_ms bigint NOT NULL,
    result jsonb NOT NULL,
    seconds numeric NOT NULL,
    cost_micros bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, audio_sha256, model, language, start_ms, end_ms)
);
COMMENT ON TABLE transcript_chunks IS 'one row an answer that was paid for: usage is counted from here';
COMMENT ON COLUMN transcript_chunks.end_ms IS '0: the whole recording in one piece';
COMMENT ON COLUMN transcript_chunks.cost_micros IS 'estimated, in millionths of a US dollar; null: the price is not known';
CREATE INDEX transcript_chunks_by_time ON transcript_chunks (workspace_id, created_at);

CREATE TABLE transcriptions (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    source_app text NOT NULL,
    external_id text NOT NULL,
    event_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'running', 'done')),
    chunks_done integer NOT NULL DEFAULT 0,
    chunks_total integer,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, source_app, external_id)
);
COMMENT ON TABLE transcriptions IS 'where the transcription of a call stands; a failed one is a failed import';

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['replays', 'transcript_chunks', 'transcriptions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY by_workspace ON %I TO callstream_app'
            ' USING (workspace_id = (SELECT callstream_workspace()) OR (SELECT callstream_is_pipeline()))', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO callstream_app', name);
    END LOOP;
END
$$;

-- Whether a call is of this source, with this participant, of this time. Whatever is null is not asked for.
CREATE FUNCTION callstream_fits(call recordings, source text, participant text, since timestamptz, until timestamptz)
RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (source IS NULL OR call.source_app = source)
        AND (participant IS NULL OR EXISTS (
            SELECT FROM jsonb_array_elements(call.participants) p
            WHERE strpos(lower(concat_ws(' ', p ->> 'name', p ->> 'email', p ->> 'phone')), lower(participant)) > 0))
        AND (since IS NULL OR coalesce(call.recording_start_time, call.imported_at) >= since)
        AND (until IS NULL OR coalesce(call.recording_start_time, call.imported_at) < until)
$$;

-- A door for searching. Under row-level security "@@" may not use the index, because it is not known to keep secrets, and
-- a search would read every call. This one names the workspace itself. A frequent word is found among the newest calls;
-- what is not frequent enough for that is found by the index. Left alone, the planner walks a million calls for a word
-- that stands in one.
CREATE FUNCTION search_calls_v1(
    words text, source text, participant text, since timestamptz, until timestamptz, before timestamptz,
    before_id uuid, at_most integer
) RETURNS SETOF uuid LANGUAGE plpgsql STABLE ROWS 50 SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $door$
DECLARE
    wanted CONSTANT tsquery := websearch_to_tsquery('simple', words);
    found uuid[];
BEGIN
    found := ARRAY(
        SELECT r.recording_id FROM (
            SELECT * FROM recordings
            WHERE workspace_id = callstream_workspace()
              AND (before IS NULL OR (imported_at, recording_id) < (before, before_id))
            ORDER BY imported_at DESC, recording_id DESC LIMIT 2000
        ) r
        WHERE r.search @@ wanted AND callstream_fits(r, source, participant, since, until)
        ORDER BY r.imported_at DESC, r.recording_id DESC LIMIT at_most);
    IF cardinality(found) < at_most THEN
        found := ARRAY(
            WITH hits AS MATERIALIZED (
                SELECT r.recording_id, r.imported_at FROM recordings r
                WHERE r.workspace_id = callstream_workspace() AND r.search @@ wanted
                  AND callstream_fits(r, source, participant, since, until))
            SELECT recording_id FROM hits
            WHERE before IS NULL OR (imported_at, recording_id) < (before, before_id)
            ORDER BY imported_at DESC, recording_id DESC LIMIT at_most);
    END IF;
    RETURN QUERY SELECT unnest(found);
END
$door$;
REVOKE ALL ON FUNCTION search_calls_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_calls_v1 TO callstream_app;

-- An expression, so that nobody takes this index for finding a call by its key: on a table that is still thought to be
-- empty it looks as good as the unique one, and reads all calls of the source for each.
CREATE INDEX recordings_by_source
    ON recordings (workspace_id, (source_app || ''), imported_at DESC, recording_id DESC);
CREATE INDEX recordings_by_start ON recordings (workspace_id, (coalesce(recording_start_time, imported_at)) DESC);
