-- Sources: connected accounts with their credentials, schedules and coverage; jobs that pull page by page; calls that
-- wait for their source; and how much of each account's limits is spent, shared by all workers.

CREATE TABLE platform_capabilities (
    source_app text PRIMARY KEY,
    display_name text NOT NULL,
    status text NOT NULL CHECK (status IN ('supported', 'beta', 'coming_soon', 'not_planned')),
    auth_types text[] NOT NULL DEFAULT '{}',
    auth_instructions text NOT NULL DEFAULT '',
    supports_historical_import boolean NOT NULL,
    supports_ongoing_sync boolean NOT NULL,
    supports_webhook boolean NOT NULL,
    cost_per_call_cents integer NOT NULL DEFAULT 0,
    rate_limits jsonb NOT NULL DEFAULT '[]'
);
COMMENT ON TABLE platform_capabilities IS 'written from the registry of connectors by `callstream migrate`';
COMMENT ON COLUMN platform_capabilities.cost_per_call_cents IS 'the operator''s own; never overwritten';
GRANT SELECT, INSERT, UPDATE ON platform_capabilities TO callstream_app;

CREATE TABLE import_sources (
    source_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    source_app text NOT NULL,
    account_email text NOT NULL,
    account_id text NOT NULL DEFAULT '',
    is_active boolean NOT NULL DEFAULT true,
    one_off boolean NOT NULL DEFAULT false,
    keep_recordings boolean NOT NULL DEFAULT false,
    error_reason text,
    error_message text,
    synced_until timestamptz,
    last_sync_at timestamptz,
    found_by_poll bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX import_sources_one_per_account ON import_sources (user_id, source_app, account_email)
    WHERE NOT one_off;
CREATE INDEX import_sources_of_workspace ON import_sources (workspace_id, created_at DESC, source_id DESC);
COMMENT ON COLUMN import_sources.account_email IS 'the account as a person knows it: an e-mail address where there is one';
COMMENT ON COLUMN import_sources.account_id IS 'the account as the source counts limits; empty: this source alone';
COMMENT ON COLUMN import_sources.one_off IS 'an import by support: its credential goes when its job ends';
COMMENT ON COLUMN import_sources.synced_until IS 'all calls before this have been listed; the next sync overlaps it';
COMMENT ON COLUMN import_sources.found_by_poll IS 'calls that a sync found although the webhook should have brought them';
COMMENT ON COLUMN import_sources.error_message IS 'what a person must do before it goes on; null: it goes on';

CREATE TABLE import_credentials (
    credential_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    source_id uuid NOT NULL UNIQUE REFERENCES import_sources ON DELETE CASCADE,
    credential_type text NOT NULL CHECK (credential_type IN ('api_key', 'basic', 'password', 'oauth')),
    encrypted_credential bytea NOT NULL,
    scopes text[] NOT NULL DEFAULT '{}',
    expires_at timestamptz,
    last_verified_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN import_credentials.encrypted_credential IS 'JSON of the fields, sealed for this row';

CREATE TABLE import_sync_configs (
    source_id uuid PRIMARY KEY REFERENCES import_sources ON DELETE CASCADE,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    enabled boolean NOT NULL DEFAULT true,
    sync_frequency_minutes integer NOT NULL CHECK (sync_frequency_minutes BETWEEN 5 AND 10080),
    next_sync_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX import_sync_configs_due ON import_sync_configs (next_sync_at) WHERE enabled;

CREATE TABLE oauth_states (
    state_hash bytea PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    source_app text NOT NULL,
    encrypted_state bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
COMMENT ON COLUMN oauth_states.encrypted_state IS 'code verifier, redirect address and form fields, sealed for this row';

-- A job that pulls. `step` moves with every page by compare-and-set, so that no chain of pages is doubled.
ALTER TABLE import_jobs DROP CONSTRAINT import_jobs_job_type_check;
ALTER TABLE import_jobs ADD CONSTRAINT import_jobs_job_type_check
    CHECK (job_type IN ('historical', 'sync', 'backfill', 'upload', 'replay'));
ALTER TABLE import_jobs
    ADD COLUMN source_id uuid REFERENCES import_sources ON DELETE SET NULL,
    ADD COLUMN date_from timestamptz,
    ADD COLUMN date_to timestamptz,
    ADD COLUMN filters jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN phase text CHECK (phase IN ('counting', 'pulling', 'done')),
    ADD COLUMN cursor text,
    ADD COLUMN step integer NOT NULL DEFAULT 0,
    ADD COLUMN tries integer NOT NULL DEFAULT 0,
    ADD COLUMN resume_at timestamptz,
    ADD COLUMN kicked_at timestamptz,
    ADD COLUMN leased_until timestamptz,
    ADD COLUMN estimated_calls integer,
    ADD COLUMN failed_at timestamptz,
    ADD COLUMN done_at timestamptz;
CREATE INDEX import_jobs_pulling ON import_jobs (coalesce(resume_at, kicked_at, created_at))
    WHERE phase IN ('counting', 'pulling');
CREATE INDEX import_jobs_of_source ON import_jobs (source_id, created_at DESC) WHERE source_id IS NOT NULL;
COMMENT ON COLUMN import_jobs.phase IS 'of jobs that pull: null for uploads and replays';
COMMENT ON COLUMN import_jobs.resume_at IS 'a limit or a fault stopped it until then; last_error says which';
COMMENT ON COLUMN import_jobs.leased_until IS 'a worker is at this step until then';
COMMENT ON COLUMN import_jobs.failed_at IS 'gave up for good; last_error says why';
COMMENT ON COLUMN import_jobs.done_at IS 'when the last page was accepted';

ALTER TABLE job_calls ADD COLUMN accepted boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN job_calls.accepted IS 'the broker has it, or nothing had to be sent; false: pulling must still bring it';

CREATE TABLE waiting_calls (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    source_id uuid NOT NULL REFERENCES import_sources ON DELETE CASCADE,
    source_app text NOT NULL,
    external_id text NOT NULL,
    job_id uuid REFERENCES import_jobs ON DELETE SET NULL,
    why text NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    from_webhook boolean NOT NULL DEFAULT false,
    started_at timestamptz,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    next_try_at timestamptz NOT NULL,
    PRIMARY KEY (source_id, external_id)
);
CREATE INDEX waiting_calls_due ON waiting_calls (next_try_at);
COMMENT ON COLUMN waiting_calls.started_at IS 'when a listed call began: some sources find a call only in a list';
COMMENT ON TABLE waiting_calls IS 'known at the source and not ready, or named by a webhook and not read yet';

-- PostgreSQL keeps the sum of ranges by itself. What is in it has been listed, and every call of it was accepted.
CREATE TABLE coverage (
    source_id uuid PRIMARY KEY REFERENCES import_sources ON DELETE CASCADE,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    covered tstzmultirange NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE rate_budgets (
    account text NOT NULL,
    bucket text NOT NULL,
    spent jsonb NOT NULL DEFAULT '{}',
    share real NOT NULL DEFAULT 1,
    share_at timestamptz NOT NULL DEFAULT now(),
    blocked_until timestamptz,
    PRIMARY KEY (account, bucket)
) WITH (fillfactor = 50);
COMMENT ON TABLE rate_budgets IS 'what is spent of the limits of each account, for all workers; one row a bucket';
COMMENT ON COLUMN rate_budgets.spent IS 'requests by limit: in slices of its window, or of its day; and what the source says is left';
COMMENT ON COLUMN rate_budgets.share IS 'how much of the limits is used: lowered by every 429, raised again slowly';
COMMENT ON COLUMN rate_budgets.share_at IS 'when it was lowered, or raised';

ALTER TABLE webhook_endpoints ADD COLUMN source_id uuid REFERENCES import_sources ON DELETE CASCADE;

CREATE FUNCTION find_webhook_endpoint_v2(wanted uuid)
RETURNS TABLE (
    endpoint_id uuid, workspace_id uuid, platform text, encrypted_secret bytea, owner_user_id uuid, source_id uuid
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT e.endpoint_id, e.workspace_id, e.platform, e.encrypted_secret, e.owner_user_id, e.source_id
    FROM webhook_endpoints e WHERE e.endpoint_id = wanted AND e.closed_at IS NULL
$$;

-- The browser comes back from the authorization server with nothing but its state.
CREATE FUNCTION use_oauth_state_v1(wanted bytea)
RETURNS TABLE (workspace_id uuid, user_id uuid, source_app text, encrypted_state bytea)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE oauth_states s SET used_at = now()
    WHERE s.state_hash = wanted AND s.used_at IS NULL AND s.expires_at > now()
    RETURNING s.workspace_id, s.user_id, s.source_app, s.encrypted_state
$$;
REVOKE ALL ON FUNCTION find_webhook_endpoint_v2, use_oauth_state_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_webhook_endpoint_v2, use_oauth_state_v1 TO callstream_app;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'import_sources', 'import_credentials', 'import_sync_configs', 'oauth_states', 'waiting_calls', 'coverage'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY by_workspace ON %I TO callstream_app'
            ' USING (workspace_id = (SELECT callstream_workspace()) OR (SELECT callstream_is_pipeline()))', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO callstream_app', name);
    END LOOP;
END
$$;
ALTER TABLE rate_budgets ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_pipeline ON rate_budgets TO callstream_app USING ((SELECT callstream_is_pipeline()));
GRANT SELECT, INSERT, UPDATE, DELETE ON rate_budgets TO callstream_app;
ALTER TABLE platform_capabilities ENABLE ROW LEVEL SECURITY;
CREATE POLICY for_all ON platform_capabilities TO callstream_app USING (true);
