-- list_workspaces --
-- Every workspace with its first owner, the home workspace first. For an operator: needs the pipeline's scope.
SELECT w.workspace_id, w.name, w.is_home, o.user_id
FROM workspaces w
LEFT JOIN LATERAL (
    SELECT u.user_id FROM users u JOIN memberships m USING (user_id)
    WHERE m.workspace_id = w.workspace_id AND m.role = 'owner' ORDER BY u.created_at, u.user_id LIMIT 1
) o ON true
ORDER BY w.is_home DESC, w.name, w.workspace_id

-- known_places --
-- Which of these ids are people, banks or vaults of this workspace.
SELECT user_id AS place FROM memberships WHERE workspace_id = $1 AND user_id = ANY($2::uuid[])
UNION ALL SELECT bank_id FROM banks WHERE workspace_id = $1 AND bank_id = ANY($2::uuid[])
UNION ALL SELECT vault_id FROM vaults WHERE workspace_id = $1 AND vault_id = ANY($2::uuid[])

-- stored_events --
-- Which of these events are what the library holds of their calls.
SELECT event_id FROM recordings
WHERE workspace_id = $1 AND (source_app, external_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))
  AND event_id = ANY($4::uuid[])

-- workspace_of_replay --
-- Whose replay it is. For an operator: needs the pipeline's scope.
SELECT workspace_id FROM replays WHERE replay_id = $1
