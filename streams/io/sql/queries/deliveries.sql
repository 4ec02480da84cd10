-- active_subscriptions --
-- Who wants to be told of what, over all workspaces.
SELECT subscription_id, workspace_id, kind, events, created_at FROM webhook_subscriptions WHERE is_active

-- home_workspace --
-- Whose events are that name no workspace.
SELECT workspace_id FROM workspaces WHERE is_home

-- add_deliveries --
-- Something has happened that subscriptions want to be told of. What is there already was read before. Of a call that was
-- erased meanwhile the title is left out.
INSERT INTO outgoing_deliveries (delivery_id, workspace_id, subscription_id, event_id, event_type, body)
SELECT n.delivery_id, s.workspace_id, s.subscription_id, n.event_id, n.event_type,
    CASE WHEN e.external_id IS NULL THEN n.body::jsonb
        ELSE jsonb_set(n.body::jsonb, '{data,title}', '""', false) END
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
    AS n (delivery_id, subscription_id, event_id, event_type, body)
JOIN webhook_subscriptions s USING (subscription_id)
LEFT JOIN erased_calls e ON e.workspace_id = s.workspace_id AND e.source_app = n.body::jsonb #>> '{data,source_app}'
    AND e.external_id = n.body::jsonb #>> '{data,external_id}'
WHERE s.is_active
ON CONFLICT DO NOTHING

-- ended_jobs --
-- Jobs that are over and of which nobody was told, with their calls by state. Whether one is over, `job_views` says; here
-- are only left out those that cannot be.
WITH ended AS MATERIALIZED (
    SELECT j.*, r.state AS replay_state, coalesce(r.dry_run, false) AS dry_run
    FROM import_jobs j LEFT JOIN replays r ON r.replay_id = j.job_id
    WHERE j.announced_at IS NULL
        AND (j.cancelled_at IS NOT NULL OR j.failed_at IS NOT NULL OR r.state = 'failed'
            OR (NOT j.open_ended AND NOT EXISTS (
                SELECT FROM job_calls c WHERE c.job_id = j.job_id AND c.status IN ('pending', 'waiting'))))
    ORDER BY j.created_at LIMIT $1
)
SELECT e.job_id, e.workspace_id, e.job_type, e.source_app, e.source_id, e.total_calls, e.open_ended, e.cancelled_at,
    e.last_error, e.created_at, e.started_at, e.phase, e.resume_at, e.estimated_calls, e.failed_at, e.done_at,
    e.replay_state, e.dry_run, NULL::timestamptz AS waiting_until, c.*
FROM ended e CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'pending') AS pending,
           count(*) FILTER (WHERE status = 'imported') AS imported,
           count(*) FILTER (WHERE status = 'updated') AS updated,
           count(*) FILTER (WHERE status = 'skipped') AS skipped,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE status = 'waiting') AS waiting,
           count(*) FILTER (WHERE status = 'discarded') AS discarded,
           count(*) FILTER (WHERE status = 'refused') AS refused,
           max(j.updated_at) AS last_change
    FROM job_calls j WHERE j.job_id = e.job_id
) c

-- announce_jobs --
-- Their end was told.
UPDATE import_jobs SET announced_at = now() WHERE job_id = ANY($1::uuid[]) AND announced_at IS NULL

-- take_due --
-- Deliveries that are due, for as long as the lease. Each subscription has its own few places ($1), of which those that
-- are under way here ($2, $3) are taken; one that does not answer has a single one. So none holds up another.
WITH places AS MATERIALIZED (
    SELECT s.subscription_id,
        (CASE WHEN s.failing_since IS NULL THEN $1::integer ELSE 1 END) - coalesce(f.flying, 0) AS free
    FROM webhook_subscriptions s
    LEFT JOIN unnest($2::uuid[], $3::integer[]) AS f (subscription_id, flying) USING (subscription_id)
    WHERE s.is_active
), due AS MATERIALIZED (
    SELECT d.delivery_id
    FROM places p CROSS JOIN LATERAL (
        SELECT o.delivery_id FROM outgoing_deliveries o
        WHERE o.subscription_id = p.subscription_id AND o.status = 'pending' AND o.next_attempt_at <= now()
            AND (o.leased_until IS NULL OR o.leased_until <= now())
        ORDER BY o.next_attempt_at LIMIT greatest(p.free, 0) FOR UPDATE SKIP LOCKED
    ) d
    LIMIT $5
)
UPDATE outgoing_deliveries o SET leased_until = clock_timestamp() + make_interval(secs => $4)
FROM due d, webhook_subscriptions s
WHERE o.delivery_id = d.delivery_id AND s.subscription_id = o.subscription_id
RETURNING o.delivery_id, o.workspace_id, o.subscription_id, o.event_id, o.event_type, o.body, o.attempts, s.kind, s.url,
    s.url_secret, s.encrypted_secret

-- delivered --
-- The receiver has it. Whoever else had it in hand meanwhile need not say so again.
UPDATE outgoing_deliveries SET status = 'delivered', attempts = attempts + 1, last_status_code = $2, last_error = NULL,
    next_attempt_at = NULL, leased_until = NULL, delivered_at = now()
WHERE delivery_id = $1 AND status <> 'delivered'

-- receives_again --
-- The receiver answers.
UPDATE webhook_subscriptions SET failing_since = NULL WHERE subscription_id = $1 AND failing_since IS NOT NULL

-- not_delivered --
-- The receiver has not taken it: the next try is in $4 seconds, or there is none.
UPDATE outgoing_deliveries SET attempts = attempts + 1, last_status_code = $2, last_error = $3, leased_until = NULL,
    status = CASE WHEN $4::double precision IS NULL THEN 'failed' ELSE 'pending' END,
    next_attempt_at = now() + make_interval(secs => $4)
WHERE delivery_id = $1 AND status = 'pending'
RETURNING delivery_id

-- fails --
-- The receiver does not answer, and since when.
UPDATE webhook_subscriptions SET failing_since = coalesce(failing_since, now()) WHERE subscription_id = $1
RETURNING failing_since, failing_since < now() - interval '5 days' AS too_long

-- pause --
-- Nothing more is sent until a person has looked at it; the audit log says why.
WITH paused AS (
    UPDATE webhook_subscriptions SET is_active = false, paused_reason = $2, updated_at = now()
    WHERE subscription_id = $1 AND is_active RETURNING workspace_id, subscription_id
)
INSERT INTO audit_log (workspace_id, actor, action, target, detail)
SELECT workspace_id, 'callstream', 'webhook_subscription.paused', subscription_id::text, jsonb_build_object('why', $2::text)
FROM paused

-- forget_deliveries --
-- Deliveries are kept for 30 days.
DELETE FROM outgoing_deliveries WHERE delivery_id IN (
    SELECT delivery_id FROM outgoing_deliveries WHERE created_at < now() - interval '30 days' LIMIT $1
)
