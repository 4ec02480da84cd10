-- find_identity --
-- The workspace of that id or name (null: the home workspace), and who this identity of a provider is there.
SELECT workspace_id, user_id, role FROM find_identity_v1($1, $2, $3)

-- enter_by_identity --
-- Let an identity into a workspace, or give it another role there. Nothing comes back for one that was taken out.
SELECT user_id, role FROM enter_by_identity_v1($1, $2, $3, $4, $5, $6, $7, $8)

-- list_members --
-- The people of a workspace, newest first; only one when $2 names one.
SELECT m.user_id, u.name, u.email, m.role, u.created_at
FROM memberships m JOIN users u USING (user_id)
WHERE m.workspace_id = $1 AND ($2::uuid IS NULL OR m.user_id = $2)
  AND ($3::timestamptz IS NULL OR (u.created_at, m.user_id) < ($3, $4::uuid))
ORDER BY u.created_at DESC, m.user_id DESC LIMIT $5

-- member_by_email --
-- A person of the workspace by their address.
SELECT m.user_id FROM memberships m JOIN users u USING (user_id)
WHERE m.workspace_id = $1 AND lower(u.email) = lower($2) LIMIT 1

-- add_member --
-- A new person of this workspace.
SELECT add_member_v1($1, $2, $3, $4)

-- welcome_back --
-- Whoever was taken out and is invited again may come back by their identity provider.
DELETE FROM removed_people WHERE workspace_id = $1 AND lower(email) = lower($2)

-- lock_owners --
-- The owners of a workspace. Nobody else changes them until this transaction is over.
SELECT user_id FROM memberships WHERE workspace_id = $1 AND role = 'owner' ORDER BY user_id FOR UPDATE

-- set_role --
-- What a person may do from now on.
UPDATE memberships SET role = $3 WHERE workspace_id = $1 AND user_id = $2

-- bar_identity --
-- A person of an identity provider who is taken out does not come back by themselves.
INSERT INTO removed_people (workspace_id, user_id, email, removed_by)
SELECT $1, user_id, email, $3 FROM users WHERE user_id = $2 AND issuer IS NOT NULL
ON CONFLICT DO NOTHING

-- remove_member --
-- Take a person out of the workspace.
DELETE FROM memberships WHERE workspace_id = $1 AND user_id = $2

-- revoke_keys_of --
-- Close all keys of a person.
UPDATE api_keys SET revoked_at = now() WHERE workspace_id = $1 AND user_id = $2 AND revoked_at IS NULL

-- drop_sessions_of --
-- End all sessions of a person.
DELETE FROM sessions WHERE workspace_id = $1 AND user_id = $2

-- drop_sign_in_links_of --
-- No link that was made for a person works any more.
DELETE FROM sign_in_links WHERE workspace_id = $1 AND user_id = $2

-- add_workspace --
-- A new workspace. The connection must be of it already.
INSERT INTO workspaces (workspace_id, name) VALUES ($1, $2)
