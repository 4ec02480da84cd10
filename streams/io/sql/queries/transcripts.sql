-- transcript_get --
-- The stored result for this audio, model and language
SELECT result::text AS result
FROM transcripts
WHERE workspace_id = $1 AND audio_sha256 = $2 AND model = $3 AND language = $4

-- transcript_put --
-- Store a result; the first one stays, so that everybody reads the same
INSERT INTO transcripts (workspace_id, audio_sha256, model, language, result, seconds)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6)
ON CONFLICT DO NOTHING

-- chunks_get --
-- The answers that were paid for so far, for this audio, model and language
SELECT start_ms, end_ms, result::text AS result
FROM transcript_chunks
WHERE workspace_id = $1 AND audio_sha256 = $2 AND model = $3 AND language = $4

-- chunk_put --
-- Store an answer that was paid for; the first one stays
INSERT INTO transcript_chunks
    (workspace_id, audio_sha256, model, language, start_ms, end_ms, result, seconds, cost_micros)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9)
ON CONFLICT DO NOTHING

-- lease_take --
-- Take the lease if it is free, has run out or is the holder's own; no row: another holder has it
INSERT INTO transcription_leases AS held (workspace_id, audio_sha256, model, language, holder, expires_at)
VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
ON CONFLICT (workspace_id, audio_sha256, model, language) DO UPDATE
SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE held.expires_at < now() OR held.holder = excluded.holder
RETURNING holder

-- lease_renew --
-- Lengthen the holder's lease; no row: it is the holder's no more
UPDATE transcription_leases
SET expires_at = now() + make_interval(secs => $6)
WHERE workspace_id = $1 AND audio_sha256 = $2 AND model = $3 AND language = $4 AND holder = $5
RETURNING holder

-- lease_release --
-- Give the lease back, if it is still the holder's
DELETE FROM transcription_leases
WHERE workspace_id = $1 AND audio_sha256 = $2 AND model = $3 AND language = $4 AND holder = $5
