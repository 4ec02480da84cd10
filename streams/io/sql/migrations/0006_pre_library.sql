-- The library: who speaks in a call and how to search for that, which account brought older calls, and what erased calls
-- have left behind outside the database.

ALTER TABLE recordings ADD COLUMN speakers text;
COMMENT ON COLUMN recordings.speakers IS
    'who speaks or takes part, in small letters, one name a line; null: stored before there was this column';

-- A source counts its calls from here on by this column.
UPDATE recordings r SET source_id = j.source_id
FROM import_jobs j WHERE j.job_id = r.import_job_id AND j.source_id IS NOT NULL AND r.source_id IS NULL;

-- Whose recording is the same file: it is removed with the last of them.
CREATE INDEX recordings_of_audio ON recordings (workspace_id, (media ->> 'sha256')) WHERE media IS NOT NULL;

ALTER TABLE erased_calls
    ADD COLUMN left_media text[] NOT NULL DEFAULT '{}',
    ADD COLUMN left_audio text[] NOT NULL DEFAULT '{}',
    ADD COLUMN left_events uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN left_at timestamptz;
CREATE INDEX erased_calls_left ON erased_calls (left_at) WHERE left_at IS NOT NULL;
COMMENT ON COLUMN erased_calls.left_media IS 'objects of the media store that are still to be removed';
COMMENT ON COLUMN erased_calls.left_audio IS 'hashes of recordings whose objects and transcripts are still to be removed';
COMMENT ON COLUMN erased_calls.left_events IS 'events whose payloads in the media store are still to be removed';
COMMENT ON COLUMN erased_calls.left_at IS 'when something was left last; null: nothing is';

-- Whether somebody of this name speaks in a call that was stored before `speakers`, or takes part in it. The name comes
-- in small letters.
CREATE FUNCTION callstream_speaks_v1(segments jsonb, participants jsonb, speaker text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM jsonb_array_elements(segments) s WHERE strpos(lower(s ->> 'speaker'), speaker) > 0)
        OR EXISTS (SELECT FROM jsonb_array_elements(participants) p WHERE strpos(lower(p ->> 'name'), speaker) > 0)
$$;

-- As search_calls_v1, with the account that brought the call, and a speaker.
CREATE FUNCTION search_calls_v2(
    words text, source text, account uuid, participant text, speaker text, since timestamptz, until timestamptz,
    before timestamptz, before_id uuid, at_most integer
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
          AND (account IS NULL OR r.source_id = account)
          AND (speaker IS NULL OR strpos(r.speakers, speaker) > 0
            OR (r.speakers IS NULL AND callstream_speaks_v1(r.segments, r.participants, speaker)))
        ORDER BY r.imported_at DESC, r.recording_id DESC LIMIT at_most);
    IF cardinality(found) < at_most THEN
        found := ARRAY(
            WITH hits AS MATERIALIZED (
                SELECT r.recording_id, r.imported_at FROM recordings r
                WHERE r.workspace_id = callstream_workspace() AND r.search @@ wanted
                  AND callstream_fits(r, source, participant, since, until)
                  AND (account IS NULL OR r.source_id = account)
                  AND (speaker IS NULL OR strpos(r.speakers, speaker) > 0
                      OR (r.speakers IS NULL AND callstream_speaks_v1(r.segments, r.participants, speaker))))
            SELECT recording_id FROM hits
            WHERE before IS NULL OR (imported_at, recording_id) < (before, before_id)
            ORDER BY imported_at DESC, recording_id DESC LIMIT at_most);
    END IF;
    RETURN QUERY SELECT unnest(found);
END
$door$;
REVOKE ALL ON FUNCTION search_calls_v2 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_calls_v2 TO callstream_app;
