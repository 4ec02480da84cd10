-- note_waiting --
-- Calls that need speech to text wait for it. The same event is never moved back, and an older one (ids of events sort
-- by time) never takes the place of a newer. A workspace that is gone is left out, and one that is there is held.
WITH here AS MATERIALIZED (
    SELECT w.workspace_id FROM workspaces w WHERE w.workspace_id = ANY($1::uuid[])
    ORDER BY w.workspace_id FOR KEY SHARE
)
INSERT INTO transcriptions AS t (workspace_id, source_app, external_id, event_id, state)
SELECT DISTINCT ON (c.workspace_id, c.source_app, c.external_id)
    c.workspace_id, c.source_app, c.external_id, c.event_id, 'waiting'
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) AS c (workspace_id, source_app, external_id, event_id)
JOIN here USING (workspace_id)
ORDER BY c.workspace_id, c.source_app, c.external_id, c.event_id DESC
ON CONFLICT (workspace_id, source_app, external_id) DO UPDATE SET
    event_id = excluded.event_id, state = excluded.state, chunks_done = 0, chunks_total = NULL, updated_at = now()
WHERE t.event_id < excluded.event_id;

-- note_running --
-- A call is being transcribed: so many of its parts are done. $6 is null as long as nobody knows how many there are.
WITH here AS MATERIALIZED (SELECT w.workspace_id FROM workspaces w WHERE w.workspace_id = $1 FOR KEY SHARE)
INSERT INTO transcriptions AS t
    (workspace_id, source_app, external_id, event_id, state, chunks_done, chunks_total)
SELECT here.workspace_id, $2, $3, $4, 'running', $5, $6 FROM here
ON CONFLICT (workspace_id, source_app, external_id) DO UPDATE SET
    event_id = excluded.event_id, state = excluded.state, chunks_done = excluded.chunks_done,
    chunks_total = excluded.chunks_total, updated_at = now();

-- note_done --
-- A call is transcribed, with all the parts that it was known to have.
WITH here AS MATERIALIZED (SELECT w.workspace_id FROM workspaces w WHERE w.workspace_id = $1 FOR KEY SHARE)
INSERT INTO transcriptions AS t (workspace_id, source_app, external_id, event_id, state)
SELECT here.workspace_id, $2, $3, $4, 'done' FROM here
ON CONFLICT (workspace_id, source_app, external_id) DO UPDATE SET
    event_id = excluded.event_id, state = excluded.state, updated_at = now(),
    chunks_total = CASE WHEN t.event_id = excluded.event_id THEN t.chunks_total END,
    chunks_done = CASE WHEN t.event_id = excluded.event_id THEN coalesce(t.chunks_total, t.chunks_done) ELSE 0 END;

-- usage_by_model --
-- What was paid for in a period, by model: each row of transcript_chunks is one answer.
SELECT model, sum(seconds) AS seconds, count(*) AS requests, sum(cost_micros) AS cost_micros,
    coalesce(sum(seconds) FILTER (WHERE cost_micros IS NULL), 0) AS unpriced_seconds
FROM transcript_chunks
WHERE workspace_id = $1 AND created_at >= $2 AND created_at < $3
GROUP BY model ORDER BY model

-- usage_by_day --
-- The same by day, in UTC. Days without an answer are left out.
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, sum(seconds) AS seconds, count(*) AS requests,
    sum(cost_micros) AS cost_micros, coalesce(sum(seconds) FILTER (WHERE cost_micros IS NULL), 0) AS unpriced_seconds
FROM transcript_chunks
WHERE workspace_id = $1 AND created_at >= $2 AND created_at < $3
GROUP BY 1 ORDER BY 1

-- count_imports --
-- Calls that came into the library in a period.
SELECT count(*) FROM recordings WHERE workspace_id = $1 AND imported_at >= $2 AND imported_at < $3
