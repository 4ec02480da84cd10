-- The hub: keys with scopes, people from an identity provider, outgoing webhooks, settings and plans of a workspace,
-- erased calls, retries of many failed imports, and which account brought a call.

-- Who -------------------------------------------------------------------------------------------------------------

ALTER TABLE api_keys ADD COLUMN scopes text[] NOT NULL DEFAULT '{read,write,admin}'
    CHECK (scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0);
COMMENT ON COLUMN api_keys.scopes IS 'a key may do what its person may, as far as its scopes allow';

ALTER TABLE users ADD COLUMN issuer text, ADD COLUMN subject text;
CREATE UNIQUE INDEX users_one_per_subject ON users (issuer, subject) WHERE issuer IS NOT NULL;
COMMENT ON COLUMN users.subject IS 'who they are at the identity provider named by `issuer`';

-- The workspace -----------------------------------------------------------------------------------------------------

ALTER TABLE workspaces
    ADD COLUMN plan text,
    ADD COLUMN window_from time,
    ADD COLUMN window_to time,
    ADD COLUMN window_zone text,
    ADD CONSTRAINT workspaces_whole_window CHECK (
        (window_from IS NULL) = (window_to IS NULL) AND (window_from IS NULL) = (window_zone IS NULL));
COMMENT ON COLUMN workspaces.plan IS 'a name of CALLSTREAM_PLANS; null: without limit';
COMMENT ON COLUMN workspaces.window_from IS 'historical imports and scheduled syncs run from then, in window_zone, until window_to';

-- Calls -------------------------------------------------------------------------------------------------------------

ALTER TABLE recordings ADD COLUMN source_id uuid;
CREATE INDEX recordings_of_account ON recordings (workspace_id, source_id, imported_at DESC, recording_id DESC)
    WHERE source_id IS NOT NULL;
COMMENT ON COLUMN recordings.source_id IS 'the connected account that brought it; stays after the account is disconnected';

CREATE TABLE erased_calls (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    source_app text NOT NULL,
    external_id text NOT NULL,
    erased_by text NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, source_app, external_id)
);
COMMENT ON TABLE erased_calls IS 'no sync, webhook, upload, retry or replay brings these back';

-- Retries of many failed imports ------------------------------------------------------------------------------------

CREATE TABLE bulk_retries (
    bulk_retry_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    started_by text NOT NULL,
    filter jsonb NOT NULL DEFAULT '{}',
    rate real NOT NULL,
    total integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE TABLE bulk_retry_calls (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    bulk_retry_id uuid NOT NULL REFERENCES bulk_retries ON DELETE CASCADE,
    failed_import_id uuid NOT NULL REFERENCES failed_imports ON DELETE CASCADE,
    sent_at timestamptz,
    PRIMARY KEY (bulk_retry_id, failed_import_id)
);
COMMENT ON COLUMN bulk_retry_calls.sent_at IS 'when it was sent on its way; null: its turn has not come, or it needed none';

-- Outgoing webhooks ---------------------------------------------------------------------------------------------------

CREATE TABLE webhook_subscriptions (
    subscription_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('standard', 'slack')),
    url text NOT NULL,
    url_secret bytea,
    encrypted_secret bytea,
    events text[] NOT NULL,
    description text NOT NULL DEFAULT '',
    is_active boolean NOT NULL DEFAULT true,
    paused_reason text,
    failing_since timestamptz,
    created_by uuid REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN webhook_subscriptions.url IS 'for kind slack only its host, because the address is a secret: see url_secret';

CREATE TABLE outgoing_deliveries (
    delivery_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    subscription_id uuid NOT NULL REFERENCES webhook_subscriptions ON DELETE CASCADE,
    event_id text NOT NULL,
    event_type text NOT NULL,
    body jsonb NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    last_status_code integer,
    last_error text,
    next_attempt_at timestamptz DEFAULT now(),
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz
);
CREATE UNIQUE INDEX outgoing_deliveries_once ON outgoing_deliveries (subscription_id, event_type, event_id);
CREATE INDEX outgoing_deliveries_due ON outgoing_deliveries (subscription_id, next_attempt_at) WHERE status = 'pending';
CREATE INDEX outgoing_deliveries_old ON outgoing_deliveries (created_at);
CREATE INDEX outgoing_deliveries_newest ON outgoing_deliveries (subscription_id, created_at DESC, delivery_id DESC);
COMMENT ON COLUMN outgoing_deliveries.event_id IS 'sent as webhook-id: the same over all tries, so that a receiver can tell repeats';

-- The default is for the jobs of before, of which nobody is told; it costs no rewrite.
ALTER TABLE import_jobs ADD COLUMN announced_at timestamptz DEFAULT now();
ALTER TABLE import_jobs ALTER COLUMN announced_at DROP DEFAULT;
CREATE INDEX import_jobs_unannounced ON import_jobs (created_at) WHERE announced_at IS NULL;
COMMENT ON COLUMN import_jobs.announced_at IS 'when its end was told to webhook subscriptions';

-- What a workspace allows ---------------------------------------------------------------------------------------------

ALTER TABLE import_jobs
    ADD COLUMN on_schedule boolean NOT NULL DEFAULT false,
    ADD COLUMN held_for text CHECK (held_for IN ('window', 'quota'));
COMMENT ON COLUMN import_jobs.on_schedule IS 'a sync that nobody asked for: it keeps to the processing window';
COMMENT ON COLUMN import_jobs.held_for IS 'why it rests until resume_at, when that is not the source''s doing';

-- Functions that look before the workspace is known -------------------------------------------------------------------

CREATE FUNCTION find_api_key_v2(hash bytea)
RETURNS TABLE (api_key_id uuid, workspace_id uuid, user_id uuid, name text, role text, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT k.api_key_id, k.workspace_id, k.user_id, k.name, m.role, k.scopes
    FROM api_keys k JOIN memberships m USING (workspace_id, user_id)
    WHERE k.key_hash = hash AND k.revoked_at IS NULL
$$;
REVOKE ALL ON FUNCTION find_api_key_v2 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key_v2 TO callstream_app;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'erased_calls', 'bulk_retries', 'bulk_retry_calls', 'webhook_subscriptions', 'outgoing_deliveries'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY by_workspace ON %I TO callstream_app'
            ' USING (workspace_id = (SELECT callstream_workspace()) OR (SELECT callstream_is_pipeline()))', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO callstream_app', name);
    END LOOP;
END
$$;
