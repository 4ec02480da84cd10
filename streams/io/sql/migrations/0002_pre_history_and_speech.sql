-- Replays of the raw archive, long recordings in parts, and where each transcription stands.
--
-- recordings.replay_id: the replay that wrote the row last. The same event mapped again by a later replay replaces what
-- it brought before; see upsert_recordings. recordings.outcome: what the row's last write was, for redelivered events.

CREATE FUNCTION callstream_no_replay() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT '00000000-0000-0000-0000-000000000000'::uuid $$;

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
