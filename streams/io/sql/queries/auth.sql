-- find_api_key --
-- The owner of an API key, by the key's hash, before the workspace is known.
SELECT api_key_id, workspace_id, user_id, name, role, scopes FROM find_api_key_v2($1)

-- find_session --
-- The person behind a session cookie, by its hash.
SELECT workspace_id, user_id, csrf_token, role FROM find_session_v1($1)

-- use_sign_in_link --
-- Use up a one-time link. Gives nothing back when it was used before or has expired.
SELECT workspace_id, user_id FROM use_sign_in_link_v1($1)

-- add_sign_in_link --
-- Keep the hash of a new one-time link.
INSERT INTO sign_in_links (token_hash, workspace_id, user_id, expires_at) VALUES ($1, $2, $3, $4)

-- drop_old_sign_in_links --
-- Used and expired links need not be kept.
DELETE FROM sign_in_links WHERE workspace_id = $1 AND (expires_at < $2 OR used_at < $2)

-- add_session --
-- Begin a session.
INSERT INTO sessions (token_hash, workspace_id, user_id, csrf_token, expires_at) VALUES ($1, $2, $3, $4, $5)

-- drop_session --
-- Sign out.
DELETE FROM sessions WHERE token_hash = $1

-- drop_old_sessions --
-- Expired sessions need not be kept.
DELETE FROM sessions WHERE workspace_id = $1 AND expires_at < $2

-- describe_user --
-- What a person sees about themselves.
SELECT u.name, u.email, w.name AS workspace_name
FROM users u, workspaces w WHERE u.user_id = $1 AND w.workspace_id = $2

-- add_api_key --
-- Keep the hash of a new API key.
INSERT INTO api_keys (api_key_id, workspace_id, user_id, name, prefix, key_hash, scopes)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING api_key_id, name, prefix, scopes, created_at, last_used_at

-- list_api_keys --
-- Keys in use, newest first; only one person's when $2 names one.
SELECT api_key_id, name, prefix, scopes, created_at, last_used_at FROM api_keys
WHERE workspace_id = $1 AND revoked_at IS NULL AND ($2::uuid IS NULL OR user_id = $2)
  AND ($3::timestamptz IS NULL OR (created_at, api_key_id) < ($3, $4::uuid))
ORDER BY created_at DESC, api_key_id DESC LIMIT $5

-- revoke_api_key --
-- Close a key for good; only one person's when $3 names one. Gives nothing back when there was none in use.
UPDATE api_keys SET revoked_at = now()
WHERE workspace_id = $1 AND api_key_id = $2 AND revoked_at IS NULL AND ($3::uuid IS NULL OR user_id = $3)
RETURNING name

-- touch_api_key --
-- Remember when a key was last used.
UPDATE api_keys SET last_used_at = now() WHERE api_key_id = $1

-- add_audit --
-- One line of the audit log.
INSERT INTO audit_log (workspace_id, actor, action, target, detail) VALUES ($1, $2, $3, $4, $5)
