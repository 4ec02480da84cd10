-- settings --
-- What a workspace has settled.
SELECT plan, window_from, window_to, window_zone FROM workspaces WHERE workspace_id = $1

-- set_window --
-- Another processing window, or none.
UPDATE workspaces SET window_from = $2, window_to = $3, window_zone = $4 WHERE workspace_id = $1
