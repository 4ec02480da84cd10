-- add_pull_job --
-- A new import from a source. Its first command is about to be published.
INSERT INTO import_jobs (
    job_id, workspace_id, job_type, source_app, created_by, source_id, date_from, date_to, filters, phase, on_schedule,
    open_ended, kicked_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, true, now())

-- find_step --
-- What the next command of a job must say.
SELECT job_id, workspace_id, source_app, source_id, step FROM import_jobs
WHERE job_id = $1 AND workspace_id = $2 AND phase IN ('counting', 'pulling') AND source_id IS NOT NULL

-- not_kicked --
-- The command could not be published: the schedule does it at its next round.
UPDATE import_jobs SET kicked_at = NULL WHERE job_id = $1 AND step = $2 AND leased_until IS NULL

-- take_step --
-- Begin a step, unless the job has moved on, rests, is over, or another worker is at it.
UPDATE import_jobs j SET leased_until = clock_timestamp() + make_interval(secs => $3), resume_at = NULL,
    started_at = CASE WHEN j.step = 0 AND j.tries = 0 THEN now() ELSE j.started_at END,
    held_for = NULL, last_error = CASE WHEN j.held_for IS NULL THEN j.last_error END
FROM workspaces w
WHERE w.workspace_id = j.workspace_id AND j.job_id = $1 AND j.step = $2 AND j.source_id IS NOT NULL AND j.phase IN ('counting', 'pulling')
    AND j.cancelled_at IS NULL AND j.failed_at IS NULL
    AND (j.leased_until IS NULL OR j.leased_until <= now()) AND (j.resume_at IS NULL OR j.resume_at <= now())
RETURNING j.job_id, j.source_id, j.job_type, j.date_from, j.date_to, j.filters, j.phase, j.cursor, j.step, j.tries,
    j.created_at, j.leased_until, j.on_schedule, w.plan, w.window_from, w.window_to, w.window_zone

-- renew_lease --
-- Lengthen the lease, if it is still the holder's.
UPDATE import_jobs SET leased_until = clock_timestamp() + make_interval(secs => $4)
WHERE job_id = $1 AND step = $2 AND leased_until = $3 RETURNING leased_until

-- release_lease --
-- Give the lease back, if it is still the holder's. It has ended now, so the schedule sees at once that nobody is at it.
UPDATE import_jobs SET leased_until = now() WHERE job_id = $1 AND step = $2 AND leased_until = $3

-- goes_on --
-- Whether the job still stands at this step and nobody has stopped it.
SELECT EXISTS (
    SELECT FROM import_jobs WHERE job_id = $1 AND step = $2 AND phase IN ('counting', 'pulling')
        AND cancelled_at IS NULL AND failed_at IS NULL
)

-- advance_step --
-- The step is done: the job stands at the next one, whose command is about to be published.
UPDATE import_jobs SET step = step + 1, phase = 'pulling', cursor = $3, estimated_calls = coalesce($4, estimated_calls),
    tries = CASE WHEN $5 THEN 0 ELSE tries END, last_error = CASE WHEN $5 THEN NULL ELSE last_error END,
    leased_until = NULL, resume_at = NULL, kicked_at = now()
WHERE job_id = $1 AND step = $2 AND phase IN ('counting', 'pulling') AND cancelled_at IS NULL AND failed_at IS NULL
RETURNING step

-- rest --
-- The job stays at this step until later.
UPDATE import_jobs SET cursor = $3, tries = $4, last_error = $5, resume_at = $6, leased_until = NULL, kicked_at = NULL
WHERE job_id = $1 AND step = $2 AND phase IN ('counting', 'pulling') RETURNING job_id

-- hold --
-- The job stays at this step until its workspace allows it to go on.
UPDATE import_jobs SET resume_at = $3, held_for = $4, last_error = $5, leased_until = NULL, kicked_at = NULL
WHERE job_id = $1 AND step = $2 AND phase IN ('counting', 'pulling') RETURNING job_id

-- give_up_job --
-- The job has failed for good. What was accepted stays; what was about to be sent is no part of it.
WITH over AS (
    UPDATE import_jobs j SET phase = 'done', failed_at = now(), last_error = $3, open_ended = false, tries = $4,
        leased_until = NULL, resume_at = NULL,
        total_calls = (SELECT count(*) FROM job_calls c
                       WHERE c.job_id = j.job_id AND (c.accepted OR c.status <> 'pending'))
    WHERE j.job_id = $1 AND j.step = $2 AND j.phase IN ('counting', 'pulling')
    RETURNING j.job_id, j.started_at, j.cancelled_at
), unsent AS (
    DELETE FROM job_calls c USING over o WHERE c.job_id = o.job_id AND NOT c.accepted AND c.status = 'pending'
)
SELECT started_at, now() AS ended_at FROM over WHERE cancelled_at IS NULL

-- finish_job --
-- The list has ended. Calls that were about to be sent and are listed no more have failed; where every call was accepted
-- or waits, the window is covered.
WITH done AS (
    UPDATE import_jobs j SET phase = 'done', done_at = now(), step = j.step + 1, open_ended = false, cursor = NULL,
        tries = 0, last_error = NULL, leased_until = NULL, resume_at = NULL,
        total_calls = (SELECT count(*) FROM job_calls c WHERE c.job_id = j.job_id)
    WHERE j.job_id = $1 AND j.step = $2 AND j.phase IN ('counting', 'pulling') AND j.cancelled_at IS NULL
        AND j.failed_at IS NULL
    RETURNING j.job_id, j.workspace_id, j.source_id, j.job_type, j.started_at
), gone AS (
    UPDATE job_calls c SET status = 'failed', reason = $5, updated_at = now()
    FROM done d WHERE c.job_id = d.job_id AND NOT c.accepted AND c.status = 'pending'
), covering AS (
    INSERT INTO coverage AS v (source_id, workspace_id, covered)
    SELECT d.source_id, d.workspace_id, tstzmultirange(tstzrange($3, $4)) FROM done d
    WHERE d.source_id IS NOT NULL AND $3::timestamptz < $4::timestamptz AND NOT EXISTS (
        SELECT FROM job_calls c WHERE c.job_id = d.job_id AND NOT c.accepted AND c.status IN ('pending', 'failed'))
    ON CONFLICT (source_id) DO UPDATE SET covered = v.covered + excluded.covered, updated_at = now()
), synced AS (
    UPDATE import_sources s SET synced_until = greatest(s.synced_until, $4::timestamptz), last_sync_at = now()
    FROM done d WHERE s.source_id = d.source_id AND d.job_type = 'sync'
)
SELECT started_at, now() AS ended_at FROM done

-- close_cancelled_pulls --
-- Cancelled jobs add no more calls, and theirs wait no more.
WITH over AS (
    UPDATE import_jobs j SET phase = 'done', open_ended = false, leased_until = NULL, resume_at = NULL,
        total_calls = (SELECT count(*) FROM job_calls c
                       WHERE c.job_id = j.job_id AND (c.accepted OR c.status <> 'pending'))
    WHERE j.phase IN ('counting', 'pulling') AND j.cancelled_at IS NOT NULL
    RETURNING j.job_id, j.source_app
), unsent AS (
    DELETE FROM job_calls c USING over o WHERE c.job_id = o.job_id AND NOT c.accepted AND c.status = 'pending'
), forgotten AS (
    DELETE FROM waiting_calls w USING over o WHERE w.job_id = o.job_id AND NOT w.from_webhook
)
SELECT job_id, source_app FROM over

-- give_up_orphans --
-- Jobs whose source was disconnected.
UPDATE import_jobs SET phase = 'done', failed_at = now(), open_ended = false, leased_until = NULL, resume_at = NULL,
    last_error = $1
WHERE phase IN ('counting', 'pulling') AND source_id IS NULL AND cancelled_at IS NULL RETURNING job_id, source_app

-- known_calls --
-- What is known of the calls of a page: taken by this job, stored, waiting, failed, discarded or erased.
SELECT c.external_id, coalesce(j.accepted OR j.status <> 'pending', false) AS taken, r.observed_at AS stored_at,
    i.external_id IS NULL AS is_new, w.external_id IS NOT NULL AS waits, w.job_id AS waits_in,
    f.observed_at AS failed_at, CASE WHEN i.status = 'discarded' THEN i.updated_at END AS discarded_at,
    e.external_id IS NOT NULL AS erased
FROM unnest($5::text[]) AS c (external_id)
LEFT JOIN job_calls j ON j.job_id = $1 AND j.source_app = $3 AND j.external_id = c.external_id
LEFT JOIN recordings r ON r.workspace_id = $2 AND r.source_app = $3 AND r.external_id = c.external_id
    AND (r.full_transcript IS NOT NULL OR r.media IS NOT NULL)
LEFT JOIN waiting_calls w ON w.source_id = $4 AND w.external_id = c.external_id
LEFT JOIN imported_calls i ON i.workspace_id = $2 AND i.source_app = $3 AND i.external_id = c.external_id
LEFT JOIN erased_calls e ON e.workspace_id = $2 AND e.source_app = $3 AND e.external_id = c.external_id
LEFT JOIN LATERAL (
    SELECT max(coalesce(f.observed_at, f.first_seen_at)) AS observed_at FROM failed_imports f
    WHERE f.workspace_id = $2 AND f.source_app = $3 AND f.external_id = c.external_id
        AND f.status IN ('open', 'retrying', 'parked')
) f ON true

-- note_job_calls --
-- Calls of a job that are not sent: skipped or failed, each with its sentence.
INSERT INTO job_calls AS c (workspace_id, job_id, source_app, external_id, status, reason, event_id, accepted)
SELECT j.workspace_id, j.job_id, $6, n.external_id, n.status, n.reason, n.event_id, n.status = 'skipped'
FROM import_jobs j, unnest($2::text[], $3::text[], $4::text[], $5::uuid[]) AS n (external_id, status, reason, event_id)
WHERE j.job_id = $1
ORDER BY n.external_id
ON CONFLICT (job_id, source_app, external_id) DO UPDATE SET
    status = excluded.status, reason = excluded.reason, accepted = excluded.accepted, updated_at = now()
WHERE NOT c.accepted AND c.status IN ('pending', 'waiting')

-- reserve_call --
-- Note a call of a job before it is published. Gives nothing back when the job has moved on or was stopped, or when the
-- call was accepted before. $2: the step the job must stand at; null when the call has waited, whatever the job does now.
INSERT INTO job_calls AS c (workspace_id, job_id, source_app, external_id, event_id, accepted)
SELECT j.workspace_id, j.job_id, $5, $3, $4, false FROM import_jobs j
WHERE j.job_id = $1 AND j.cancelled_at IS NULL
    AND ($2::integer IS NULL OR (j.step = $2 AND j.phase = 'pulling' AND j.failed_at IS NULL))
ON CONFLICT (job_id, source_app, external_id) DO UPDATE SET
    event_id = excluded.event_id, status = 'pending', reason = NULL, updated_at = now()
WHERE NOT c.accepted AND c.status IN ('pending', 'waiting', 'failed')
RETURNING c.event_id

-- accept_call --
-- The broker has the call: it waits no more, and its job knows. $5: when a new call began that a sync has found. It is
-- counted if a webhook should have brought it; gives back how many were.
WITH accepted AS (
    UPDATE job_calls SET accepted = true WHERE job_id = $1 AND source_app = $3 AND external_id = $4 AND NOT accepted
    RETURNING job_id
), ready AS (
    DELETE FROM waiting_calls WHERE source_id = $2 AND external_id = $4
), counted AS (
    UPDATE import_sources s SET found_by_poll = s.found_by_poll + 1
    FROM accepted
    WHERE s.source_id = $2 AND $5::timestamptz IS NOT NULL
        AND EXISTS (SELECT FROM webhook_endpoints e WHERE e.source_id = $2 AND e.closed_at IS NULL AND e.created_at < $5)
    RETURNING s.source_id
)
SELECT count(*) FROM counted

-- note_call --
-- A call that is known at its source and cannot be read yet. One that waits already keeps its turn, or gets an earlier.
WITH noted AS (
    INSERT INTO waiting_calls AS w (
        workspace_id, source_id, source_app, external_id, job_id, why, tries, from_webhook, next_try_at, started_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $11)
    ON CONFLICT (source_id, external_id) DO UPDATE SET
        job_id = coalesce(w.job_id, excluded.job_id), from_webhook = w.from_webhook OR excluded.from_webhook,
        why = CASE WHEN excluded.from_webhook THEN w.why ELSE excluded.why END,
        started_at = coalesce(excluded.started_at, w.started_at),
        next_try_at = least(w.next_try_at, excluded.next_try_at)
    RETURNING job_id
)
INSERT INTO job_calls AS c (workspace_id, job_id, source_app, external_id, status, reason, event_id, accepted)
SELECT $1, $5, $3, $4, 'waiting', $6, $10, false FROM noted n WHERE n.job_id = $5
ON CONFLICT (job_id, source_app, external_id) DO UPDATE SET
    status = 'waiting', reason = excluded.reason, updated_at = now()
WHERE NOT c.accepted AND c.status IN ('pending', 'waiting', 'failed')

-- read_again --
-- Calls of a job that could not be read wait for another try, which is due now.
WITH again AS (
    UPDATE job_calls c SET status = 'waiting', updated_at = now() FROM import_jobs j
    WHERE c.workspace_id = $1 AND c.job_id = $2 AND NOT c.accepted AND c.status = 'failed' AND j.job_id = c.job_id
        AND j.source_id IS NOT NULL
    RETURNING c.workspace_id, j.source_id, c.source_app, c.external_id, c.job_id, c.reason
), noted AS (
    INSERT INTO waiting_calls (workspace_id, source_id, source_app, external_id, job_id, why, next_try_at)
    SELECT workspace_id, source_id, source_app, external_id, job_id, coalesce(reason, ''), now() FROM again
    ON CONFLICT (source_id, external_id) DO UPDATE SET next_try_at = now(), job_id = excluded.job_id
)
SELECT count(*) FROM again

-- claim_waiting --
-- Take waiting calls that are due, for as long as the lease: nobody else takes them meanwhile, and if we die they are
-- due again.
WITH due AS MATERIALIZED (
    SELECT source_id, external_id FROM waiting_calls
    WHERE source_id = $1 AND next_try_at <= now() ORDER BY next_try_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE waiting_calls w SET next_try_at = now() + make_interval(secs => $3)
FROM due d
WHERE w.source_id = d.source_id AND w.external_id = d.external_id
RETURNING w.external_id, w.job_id, w.why, w.tries, w.from_webhook, w.started_at,
    (SELECT job_type FROM import_jobs WHERE job_id = w.job_id) AS job_type,
    (SELECT cancelled_at IS NOT NULL FROM import_jobs WHERE job_id = w.job_id) AS cancelled,
    EXISTS (SELECT FROM erased_calls e WHERE e.workspace_id = w.workspace_id AND e.source_app = w.source_app
        AND e.external_id = w.external_id) AS erased

-- try_later --
-- The call waits on; its job says what for.
WITH later AS (
    UPDATE waiting_calls SET tries = $3, why = $4, next_try_at = now() + make_interval(secs => $5)
    WHERE source_id = $1 AND external_id = $2 RETURNING job_id, source_app
)
UPDATE job_calls c SET reason = $4, updated_at = now()
FROM later l WHERE c.job_id = l.job_id AND c.source_app = l.source_app AND c.external_id = $2 AND c.status = 'waiting'

-- wait_no_more --
-- The call is given up; its job says why.
WITH over AS (
    DELETE FROM waiting_calls WHERE source_id = $1 AND external_id = $2 RETURNING job_id, source_app
)
UPDATE job_calls c SET status = 'failed', reason = $3, updated_at = now()
FROM over o WHERE c.job_id = o.job_id AND c.source_app = o.source_app AND c.external_id = $2 AND NOT c.accepted

-- retried_call --
-- A call that a webhook named and that was given up has been read by its retry.
UPDATE failed_imports SET status = 'resolved', resolved_at = now(), next_retry_at = NULL
WHERE event_id = $1 AND status IN ('open', 'retrying', 'parked')

-- sync_runs --
-- Whether a sync of the source is under way.
SELECT EXISTS (
    SELECT FROM import_jobs WHERE source_id = $1 AND job_type = 'sync' AND phase IN ('counting', 'pulling')
        AND cancelled_at IS NULL AND failed_at IS NULL
)

-- due_syncs --
-- Sources whose next sync is due.
SELECT c.source_id FROM import_sync_configs c JOIN import_sources s USING (source_id)
WHERE c.enabled AND c.next_sync_at <= now() AND s.is_active AND NOT s.one_off AND s.error_message IS NULL
    AND NOT EXISTS (
        SELECT FROM import_jobs j WHERE j.source_id = c.source_id AND j.job_type = 'sync'
            AND j.phase IN ('counting', 'pulling') AND j.cancelled_at IS NULL AND j.failed_at IS NULL)
ORDER BY c.next_sync_at LIMIT $1

-- take_sync --
-- Take a due sync: the next one comes after the source's interval, a tenth more or less so that not all come together.
UPDATE import_sync_configs c
SET next_sync_at = now() + make_interval(mins => c.sync_frequency_minutes) * (0.9 + 0.2 * random())
FROM import_sources s JOIN workspaces w USING (workspace_id)
WHERE c.source_id = $1 AND s.source_id = c.source_id AND c.enabled AND c.next_sync_at <= now() AND s.is_active
    AND s.error_message IS NULL AND NOT EXISTS (
        SELECT FROM import_jobs j WHERE j.source_id = c.source_id AND j.job_type = 'sync'
            AND j.phase IN ('counting', 'pulling') AND j.cancelled_at IS NULL AND j.failed_at IS NULL)
RETURNING s.source_id, s.workspace_id, s.source_app, s.user_id, s.synced_until, w.window_from, w.window_to, w.window_zone

-- put_off_sync --
-- The next sync comes at this time instead.
UPDATE import_sync_configs SET next_sync_at = $2 WHERE source_id = $1

-- kick_jobs --
-- Jobs that nobody is at and whose turn it is: their rest is over, their worker died, or their command was lost.
WITH due AS MATERIALIZED (
    SELECT job_id FROM import_jobs
    WHERE phase IN ('counting', 'pulling') AND cancelled_at IS NULL AND failed_at IS NULL AND source_id IS NOT NULL
        AND (resume_at IS NULL OR resume_at <= now())
        AND (leased_until <= now()
            OR (leased_until IS NULL AND (kicked_at IS NULL OR kicked_at < now() - make_interval(secs => $1))))
    ORDER BY coalesce(resume_at, kicked_at, created_at) LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE import_jobs j SET kicked_at = now(), leased_until = NULL FROM due d WHERE j.job_id = d.job_id
RETURNING j.job_id, j.workspace_id, j.source_app, j.source_id, j.step

-- due_waiting --
-- Sources with waiting calls that are due.
SELECT DISTINCT s.source_id, s.workspace_id, s.source_app
FROM waiting_calls w JOIN import_sources s USING (source_id)
WHERE w.next_try_at <= now() AND s.error_message IS NULL LIMIT $1

-- forget_oauth_states --
-- Sign-ins at a source that nobody came back from.
DELETE FROM oauth_states WHERE expires_at < now()

-- forget_credentials --
-- Credentials of one-off imports that are over, with no call of theirs waiting. Where the credential is refused, nothing
-- can wait for it any more.
WITH over AS (
    SELECT s.source_id, s.error_message FROM import_credentials k JOIN import_sources s USING (source_id)
    WHERE s.one_off AND EXISTS (SELECT FROM import_jobs j WHERE j.source_id = s.source_id)
        AND NOT EXISTS (
            SELECT FROM import_jobs j WHERE j.source_id = s.source_id AND j.phase IN ('counting', 'pulling')
                AND j.cancelled_at IS NULL AND j.failed_at IS NULL)
        AND (s.error_message IS NOT NULL
            OR NOT EXISTS (SELECT FROM waiting_calls w WHERE w.source_id = s.source_id))
), given_up AS (
    DELETE FROM waiting_calls w USING over o WHERE w.source_id = o.source_id
    RETURNING w.job_id, w.source_app, w.external_id, o.error_message
), told AS (
    UPDATE job_calls c SET status = 'failed', reason = g.error_message, updated_at = now()
    FROM given_up g WHERE c.job_id = g.job_id AND c.source_app = g.source_app AND c.external_id = g.external_id
        AND c.status = 'waiting'
)
DELETE FROM import_credentials k USING over o WHERE k.source_id = o.source_id

-- covered --
-- The time ranges of a source that are proven imported, in order.
SELECT lower(r) AS since, upper(r) AS until FROM coverage c, unnest(c.covered) AS r
WHERE c.source_id = $1 ORDER BY lower(r)

-- gaps --
-- What lies between two times and is not covered, in order.
SELECT lower(r) AS since, upper(r) AS until
FROM unnest(tstzmultirange(tstzrange($2, $3))
    - coalesce((SELECT covered FROM coverage WHERE source_id = $1), '{}'::tstzmultirange)) AS r
ORDER BY lower(r)
