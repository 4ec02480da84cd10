-- list_audit --
-- What was done in the workspace, newest first, and by whom, as far as they are still known by name.
SELECT a.audit_id AS id, a.at, a.actor, u.name AS person, a.action, a.target, a.detail
FROM audit_log a
LEFT JOIN users u ON a.actor = 'user:' || u.user_id
WHERE a.workspace_id = $1
  AND ($2::text IS NULL OR a.action = $2 OR starts_with(a.action, $2 || '.'))
  AND ($3::timestamptz IS NULL OR a.at >= $3) AND ($4::timestamptz IS NULL OR a.at < $4)
  AND ($5::bigint IS NULL OR a.audit_id < $5)
ORDER BY a.audit_id DESC LIMIT $6
