-- People: who an identity provider says they are, who was taken out of a workspace, and doors through which they come.

-- Two workspaces may know a person by the same address without knowing of each other.
ALTER TABLE users DROP CONSTRAINT users_email_key;
COMMENT ON COLUMN users.email IS 'how to reach them; who they are is issuer and subject, or a sign-in link';

CREATE TABLE removed_people (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    email text,
    removed_by text NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, user_id)
);
COMMENT ON TABLE removed_people IS 'their identity provider does not bring these back; an invitation to their address does';
ALTER TABLE removed_people ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_workspace ON removed_people TO callstream_app
    USING (workspace_id = (SELECT callstream_workspace()) OR (SELECT callstream_is_pipeline()));
GRANT SELECT, INSERT, UPDATE, DELETE ON removed_people TO callstream_app;

-- Everybody has a bank of their own, where calls go that name no other place.
CREATE FUNCTION callstream_give_bank(place uuid, owner uuid) RETURNS void LANGUAGE sql VOLATILE AS $$
    WITH bank AS (
        INSERT INTO banks (bank_id, workspace_id, name, personal_of)
        SELECT gen_random_uuid(), place, u.name || '''s calls', owner FROM users u WHERE u.user_id = owner
        ON CONFLICT DO NOTHING RETURNING bank_id
    )
    INSERT INTO bank_memberships (workspace_id, bank_id, user_id, role) SELECT place, bank_id, owner, 'owner' FROM bank
$$;
REVOKE ALL ON FUNCTION callstream_give_bank FROM PUBLIC;

-- A workspace by its id or name (null: the home workspace), and who this identity is there. Several rows: the name is not
-- one workspace's alone.
CREATE FUNCTION find_identity_v1(iss text, sub text, place text)
RETURNS TABLE (workspace_id uuid, user_id uuid, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT w.workspace_id, m.user_id, m.role
    FROM workspaces w
    LEFT JOIN users u ON u.issuer = iss AND u.subject = sub
    LEFT JOIN memberships m ON m.workspace_id = w.workspace_id AND m.user_id = u.user_id
    WHERE (place IS NULL AND w.is_home) OR w.workspace_id::text = lower(place) OR w.name = place
    LIMIT 2
$$;

-- Let an identity into a workspace, or give it another role there. Nothing comes back for one that was taken out. An
-- address that the provider has verified takes up the invitation to it; no address does anything else.
CREATE FUNCTION enter_by_identity_v1(
    place uuid, iss text, sub text, new_user uuid, person text, mail text, is_verified boolean, claimed text
) RETURNS TABLE (user_id uuid, role text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $door$
DECLARE
    known uuid;
    invited uuid;
    promised text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'identity', iss, sub), 0));
    SELECT u.user_id INTO known FROM users u WHERE u.issuer = iss AND u.subject = sub;
    IF EXISTS (SELECT FROM removed_people r WHERE r.workspace_id = place AND r.user_id = known) THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM memberships m WHERE m.workspace_id = place AND m.user_id = known) THEN
        IF is_verified THEN
            SELECT m.user_id, m.role INTO invited, promised FROM memberships m JOIN users u ON u.user_id = m.user_id
            WHERE m.workspace_id = place AND u.issuer IS NULL AND lower(u.email) = lower(mail)
            ORDER BY u.created_at, u.user_id LIMIT 1 FOR UPDATE;
        END IF;
        IF known IS NULL AND invited IS NOT NULL THEN
            known := invited;
            UPDATE users u SET issuer = iss, subject = sub WHERE u.user_id = known;
        ELSIF known IS NULL THEN
            known := new_user;
            INSERT INTO users (user_id, email, name, issuer, subject) VALUES (known, mail, person, iss, sub);
        ELSIF invited IS NOT NULL THEN -- known from another workspace: takes the place of the one invited here
            DELETE FROM memberships m WHERE m.workspace_id = place AND m.user_id = invited;
        END IF;
        INSERT INTO memberships (workspace_id, user_id, role) VALUES (place, known, coalesce(claimed, promised, 'member'))
        ON CONFLICT DO NOTHING;
        PERFORM callstream_give_bank(place, known);
    END IF;
    UPDATE memberships m SET role = claimed WHERE m.workspace_id = place AND m.user_id = known AND m.role <> claimed;
    RETURN QUERY SELECT m.user_id, m.role FROM memberships m WHERE m.workspace_id = place AND m.user_id = known;
END
$door$;

-- A new person of the workspace the connection is of. The policy on people asks for a membership, and a membership for
-- the person, so neither could be first.
CREATE FUNCTION add_member_v1(new_user uuid, person text, mail text, wanted text) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $door$
BEGIN
    INSERT INTO users (user_id, email, name) VALUES (new_user, mail, person);
    INSERT INTO memberships (workspace_id, user_id, role) VALUES (callstream_workspace(), new_user, wanted);
    PERFORM callstream_give_bank(callstream_workspace(), new_user);
    RETURN now();
END
$door$;

REVOKE ALL ON FUNCTION find_identity_v1, enter_by_identity_v1, add_member_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_identity_v1, enter_by_identity_v1, add_member_v1 TO callstream_app;
