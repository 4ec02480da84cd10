-- count_subscriptions --
-- How many a workspace has.
SELECT count(*) FROM webhook_subscriptions WHERE workspace_id = $1

-- add_subscription --
-- Somebody wants to be told.
INSERT INTO webhook_subscriptions (
    subscription_id, workspace_id, kind, url, url_secret, encrypted_secret, events, description, created_by
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- list_subscriptions --
-- Subscriptions, newest first, each with what became of its deliveries in a day.
WITH page AS (
    SELECT * FROM webhook_subscriptions
    WHERE workspace_id = $1 AND ($2::uuid IS NULL OR subscription_id = $2)
        AND ($3::timestamptz IS NULL OR (created_at, subscription_id) < ($3, $4::uuid))
    ORDER BY created_at DESC, subscription_id DESC LIMIT $5
)
SELECT p.subscription_id AS id, p.kind, p.url, p.events, p.description, p.is_active AS active, p.paused_reason,
    p.created_at, p.updated_at, d.*
FROM page p CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE o.status = 'delivered') AS delivered_24h,
        count(*) FILTER (WHERE o.status = 'failed') AS failed_24h,
        (SELECT max(l.delivered_at) FROM outgoing_deliveries l WHERE l.subscription_id = p.subscription_id)
            AS last_delivery_at
    FROM outgoing_deliveries o
    WHERE o.workspace_id = $1 AND o.subscription_id = p.subscription_id AND o.created_at > now() - interval '24 hours'
) d
ORDER BY p.created_at DESC, p.subscription_id DESC

-- change_subscription --
-- Change what is given; what is null stays. One that is switched on begins without a past.
UPDATE webhook_subscriptions SET url = coalesce($3, url), url_secret = coalesce($4, url_secret),
    events = coalesce($5, events), description = coalesce($6, description), is_active = coalesce($7, is_active),
    paused_reason = CASE WHEN $7 IS NULL THEN paused_reason END,
    failing_since = CASE WHEN $7 OR $3 IS NOT NULL THEN NULL ELSE failing_since END, updated_at = now()
WHERE workspace_id = $1 AND subscription_id = $2

-- set_subscription_secret --
-- Another secret.
UPDATE webhook_subscriptions SET encrypted_secret = $3, updated_at = now()
WHERE workspace_id = $1 AND subscription_id = $2 AND kind = 'standard' RETURNING subscription_id

-- drop_subscription --
-- Nothing more is sent, and its deliveries are forgotten.
DELETE FROM webhook_subscriptions WHERE workspace_id = $1 AND subscription_id = $2 RETURNING kind

-- list_deliveries --
-- The deliveries of a subscription, newest first.
SELECT delivery_id AS id, event_id, event_type, status, attempts, last_status_code, last_error, next_attempt_at,
    created_at, delivered_at, body
FROM outgoing_deliveries
WHERE workspace_id = $1 AND subscription_id = $2 AND ($3::uuid IS NULL OR delivery_id = $3)
    AND ($4::text IS NULL OR status = $4)
    AND ($5::timestamptz IS NULL OR (created_at, delivery_id) < ($5, $6::uuid))
ORDER BY created_at DESC, delivery_id DESC LIMIT $7

-- resend --
-- Send a delivery once more, with all its tries. One that is under way already stays as it is.
UPDATE outgoing_deliveries SET status = 'pending', attempts = 0, next_attempt_at = now(), delivered_at = NULL,
    leased_until = CASE WHEN status = 'pending' THEN leased_until END
WHERE workspace_id = $1 AND subscription_id = $2 AND delivery_id = $3 RETURNING delivery_id

-- add_test --
-- A delivery of our own making, in hand from the beginning, so that nobody else sends it.
INSERT INTO outgoing_deliveries AS o (
    delivery_id, workspace_id, subscription_id, event_id, event_type, body, leased_until
)
SELECT $3, $1, s.subscription_id, $3::uuid::text, 'test', $4::jsonb, now() + interval '1 hour'
FROM webhook_subscriptions s WHERE s.workspace_id = $1 AND s.subscription_id = $2
RETURNING o.delivery_id, o.workspace_id, o.subscription_id, o.event_id, o.event_type, o.body, o.attempts,
    (SELECT kind FROM webhook_subscriptions WHERE subscription_id = $2) AS kind,
    (SELECT url FROM webhook_subscriptions WHERE subscription_id = $2) AS url,
    (SELECT url_secret FROM webhook_subscriptions WHERE subscription_id = $2) AS url_secret,
    (SELECT encrypted_secret FROM webhook_subscriptions WHERE subscription_id = $2) AS encrypted_secret
