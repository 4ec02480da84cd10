-- find_endpoint --
-- An open endpoint, before its workspace is known.
SELECT endpoint_id, workspace_id, platform, encrypted_secret, owner_user_id, source_id
FROM find_webhook_endpoint_v2($1)

-- seen_deliveries --
-- Which of these deliveries were accepted before.
SELECT w.endpoint_id, w.delivery_id
FROM unnest($1::uuid[], $2::text[]) AS w (endpoint_id, delivery_id)
JOIN webhook_deliveries d USING (endpoint_id, delivery_id)

-- record_deliveries --
-- Remember deliveries after the broker has their calls. An endpoint removed meanwhile is no reason to fail.
INSERT INTO webhook_deliveries (workspace_id, endpoint_id, delivery_id)
SELECT $1, e.endpoint_id, w.delivery_id
FROM unnest($2::uuid[], $3::text[]) AS w (endpoint_id, delivery_id) JOIN webhook_endpoints e USING (endpoint_id)
ON CONFLICT DO NOTHING

-- add_endpoint --
-- A new endpoint.
INSERT INTO webhook_endpoints (endpoint_id, workspace_id, platform, encrypted_secret, owner_user_id, source_id)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING endpoint_id, platform, created_at, source_id

-- sources_of_platform --
-- The accounts of a platform that are connected; two are enough to know that it is not one.
SELECT source_id FROM import_sources WHERE workspace_id = $1 AND source_app = $2 AND NOT one_off LIMIT 2

-- platform_of --
-- Whose webhooks come to an open endpoint.
SELECT platform FROM webhook_endpoints WHERE workspace_id = $1 AND endpoint_id = $2 AND closed_at IS NULL

-- list_endpoints --
-- Open endpoints, newest first.
SELECT endpoint_id, platform, created_at, source_id FROM webhook_endpoints
WHERE workspace_id = $1 AND closed_at IS NULL
  AND ($2::timestamptz IS NULL OR (created_at, endpoint_id) < ($2, $3::uuid))
ORDER BY created_at DESC, endpoint_id DESC LIMIT $4

-- set_endpoint_secret --
-- Another secret for an open endpoint.
UPDATE webhook_endpoints SET encrypted_secret = $3
WHERE workspace_id = $1 AND endpoint_id = $2 AND closed_at IS NULL
RETURNING endpoint_id, platform, created_at, source_id

-- close_endpoint --
-- From now on the endpoint answers 404.
UPDATE webhook_endpoints SET closed_at = now()
WHERE workspace_id = $1 AND endpoint_id = $2 AND closed_at IS NULL RETURNING platform

-- forget_deliveries --
-- A vendor gives up on a delivery within days, so one this old is not repeated any more.
DELETE FROM webhook_deliveries WHERE endpoint_id = $1 AND received_at < $2
