-- The first schema: who (workspaces, users, keys), where calls are filed (banks, vaults), the calls themselves
-- (recordings), and how each import went (jobs, imported_calls, failed_imports).
--
-- Row-level security: the application logs in as a member of callstream_app, which owns nothing. A connection sees
-- the rows of the workspace named in `callstream.workspace_id`; the pipeline's own connections, which handle all
-- workspaces in one batch, say so with `callstream.scope = 'pipeline'`. Nothing set: nothing is seen.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'callstream_app') THEN
        CREATE ROLE callstream_app NOLOGIN;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA public TO callstream_app;

CREATE FUNCTION callstream_workspace() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('callstream.workspace_id', true), '')::uuid $$;

CREATE FUNCTION callstream_is_pipeline() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(current_setting('callstream.scope', true), '') = 'pipeline' $$;

-- Text as PostgreSQL's parser can always take it. Unclosed tags and endless words cost it time by the square of their
-- length; a tsvector holds 1 MB, and a hyphenated word may take 8 bytes a character, because its parts count again.
CREATE FUNCTION callstream_searchable(words text, longest integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT regexp_replace(translate(left(coalesce(words, ''), longest), '<>', '  '), '\S{200}', '\& ', 'g') $$;

-- Who -----------------------------------------------------------------------------------------------------------

CREATE TABLE workspaces (
    workspace_id uuid PRIMARY KEY,
    name text NOT NULL,
    is_home boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN workspaces.is_home IS 'the installation''s own workspace: it also sees events that name no workspace';
CREATE UNIQUE INDEX workspaces_one_home ON workspaces (is_home) WHERE is_home;

CREATE TABLE users (
    user_id uuid PRIMARY KEY,
    email text UNIQUE,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE memberships (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('owner', 'member', 'support')),
    PRIMARY KEY (workspace_id, user_id)
);

CREATE TABLE api_keys (
    api_key_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON COLUMN api_keys.key_hash IS 'SHA-256 of the key; the key itself is shown once and never kept';

CREATE TABLE sign_in_links (
    token_hash bytea PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);

CREATE TABLE sessions (
    token_hash bytea PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    csrf_token text NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE audit_log (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_log_newest ON audit_log (workspace_id, audit_id DESC);

-- Where calls are filed -------------------------------------------------------------------------------------------

CREATE TABLE banks (
    bank_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    personal_of uuid REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX banks_one_personal ON banks (workspace_id, personal_of) WHERE personal_of IS NOT NULL;

CREATE TABLE bank_memberships (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    bank_id uuid NOT NULL REFERENCES banks ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('owner', 'member')),
    PRIMARY KEY (bank_id, user_id)
);

CREATE TABLE vaults (
    vault_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    bank_id uuid NOT NULL REFERENCES banks ON DELETE CASCADE,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The calls -------------------------------------------------------------------------------------------------------

CREATE TABLE recordings (
    recording_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    source_app text NOT NULL,
    external_id text NOT NULL,
    owner_user_id uuid REFERENCES users ON DELETE SET NULL,
    bank_id uuid REFERENCES banks ON DELETE SET NULL,
    title text NOT NULL,
    full_transcript text,
    segments jsonb NOT NULL DEFAULT '[]',
    participants jsonb NOT NULL DEFAULT '[]',
    original_transcript text,
    recording_start_time timestamptz,
    duration_ms bigint,
    language text,
    media jsonb,
    source_metadata json NOT NULL DEFAULT '{}',
    metadata_quality text NOT NULL CHECK (metadata_quality IN ('full', 'partial', 'minimal')),
    event_id uuid NOT NULL,
    fingerprint text NOT NULL,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    import_job_id uuid,
    imported_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', callstream_searchable(title, 2000)), 'A')
        || to_tsvector('simple', callstream_searchable(full_transcript, 120000))
    ) STORED
);
COMMENT ON COLUMN recordings.source_metadata IS 'json, not jsonb: external_id stays its first key';
CREATE UNIQUE INDEX recordings_one_per_call ON recordings (workspace_id, source_app, external_id);
CREATE INDEX recordings_newest ON recordings (workspace_id, imported_at DESC, recording_id DESC);
CREATE INDEX recordings_search ON recordings USING gin (search);

CREATE TABLE vault_entries (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    vault_id uuid NOT NULL REFERENCES vaults ON DELETE CASCADE,
    recording_id uuid NOT NULL REFERENCES recordings ON DELETE CASCADE,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (vault_id, recording_id)
);

-- How each import went ----------------------------------------------------------------------------------------------

CREATE TABLE import_jobs (
    job_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    job_type text NOT NULL CHECK (job_type IN ('historical', 'sync', 'upload', 'replay')),
    source_app text NOT NULL,
    created_by uuid REFERENCES users ON DELETE SET NULL,
    total_calls integer NOT NULL DEFAULT 0,
    open_ended boolean NOT NULL DEFAULT false,
    cancelled_at timestamptz,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN import_jobs.open_ended IS 'still adding calls: not complete although every known call is done';
CREATE INDEX import_jobs_newest ON import_jobs (workspace_id, created_at DESC, job_id DESC);

CREATE TABLE imported_calls (
    import_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    source_app text NOT NULL,
    external_id text NOT NULL,
    recording_id uuid REFERENCES recordings ON DELETE SET NULL,
    status text NOT NULL CHECK (status IN ('pending', 'imported', 'updated', 'failed', 'waiting', 'discarded')),
    last_error text,
    retry_count integer NOT NULL DEFAULT 0,
    event_id uuid NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX imported_calls_one_per_call ON imported_calls (workspace_id, source_app, external_id);

CREATE TABLE job_calls (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    job_id uuid NOT NULL REFERENCES import_jobs ON DELETE CASCADE,
    source_app text NOT NULL,
    external_id text NOT NULL,
    filename text,
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'imported', 'updated', 'skipped', 'failed', 'waiting', 'discarded', 'refused')),
    reason text,
    event_id uuid NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, source_app, external_id)
);
CREATE INDEX job_calls_status ON job_calls (job_id, status);
CREATE INDEX job_calls_failed ON job_calls (workspace_id, source_app, external_id) WHERE status = 'failed';
COMMENT ON TABLE job_calls IS 'one row a call of a job: progress is counted from here, so redelivery cannot count twice';

CREATE TABLE failed_imports (
    failed_import_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    identity text NOT NULL UNIQUE,
    event_id uuid,
    source_app text,
    external_id text,
    job_id uuid,
    observed_at timestamptz,
    stage text NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    detail text NOT NULL DEFAULT '',
    attempts integer NOT NULL,
    retryable boolean NOT NULL,
    next_retry_at timestamptz,
    retried_at timestamptz,
    status text NOT NULL CHECK (status IN ('open', 'retrying', 'resolved', 'parked', 'discarded')),
    fingerprint text NOT NULL,
    origin_topic text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset bigint NOT NULL,
    original_key bytea,
    original_value bytea,
    original_headers json NOT NULL DEFAULT '[]',
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    resolved_at timestamptz
);
COMMENT ON COLUMN failed_imports.identity IS 'the event id, or topic/partition/offset of an event that has none';
COMMENT ON COLUMN failed_imports.observed_at IS 'how new the event''s content is; null when that cannot be read';
COMMENT ON COLUMN failed_imports.original_headers IS
    'array of [name, base64]; the untouched original without dead_* headers. json, because jsonb takes no U+0000';
CREATE INDEX failed_imports_newest ON failed_imports (workspace_id, last_seen_at DESC, failed_import_id DESC);
CREATE INDEX failed_imports_call ON failed_imports (workspace_id, source_app, external_id)
    WHERE status IN ('open', 'retrying', 'parked');
CREATE INDEX failed_imports_due ON failed_imports (next_retry_at) WHERE status = 'open' AND next_retry_at IS NOT NULL;
CREATE INDEX failed_imports_group ON failed_imports (workspace_id, fingerprint) WHERE status IN ('open', 'retrying', 'parked');

-- Ways in -------------------------------------------------------------------------------------------------------------

CREATE TABLE webhook_endpoints (
    endpoint_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    platform text NOT NULL,
    encrypted_secret bytea NOT NULL,
    owner_user_id uuid REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz
);

CREATE TABLE webhook_deliveries (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    delivery_id text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (endpoint_id, delivery_id)
);

CREATE TABLE idempotency_keys (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    key text NOT NULL,
    request_hash text NOT NULL,
    response jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, key)
);

-- Speech to text --------------------------------------------------------------------------------------------------------

CREATE TABLE transcripts (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    audio_sha256 text NOT NULL,
    model text NOT NULL,
    language text NOT NULL DEFAULT '',
    result jsonb NOT NULL,
    seconds numeric,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, audio_sha256, model, language)
);

CREATE TABLE transcription_leases (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    audio_sha256 text NOT NULL,
    model text NOT NULL,
    language text NOT NULL DEFAULT '',
    holder uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, audio_sha256, model, language)
);

-- Operations ------------------------------------------------------------------------------------------------------------

CREATE TABLE worker_heartbeats (
    worker text PRIMARY KEY,
    role text NOT NULL,
    ready boolean NOT NULL,
    detail text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now()
);

-- Row-level security ------------------------------------------------------------------------------------------------------

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'workspaces', 'memberships', 'api_keys', 'sign_in_links', 'sessions', 'audit_log', 'banks', 'bank_memberships',
        'vaults', 'recordings', 'vault_entries', 'import_jobs', 'imported_calls', 'job_calls', 'failed_imports',
        'webhook_endpoints', 'webhook_deliveries', 'idempotency_keys', 'transcripts', 'transcription_leases'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY by_workspace ON %I TO callstream_app'
            ' USING (workspace_id = (SELECT callstream_workspace()) OR (SELECT callstream_is_pipeline()))', name);
    END LOOP;
END
$$;

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_membership ON users TO callstream_app USING (
    (SELECT callstream_is_pipeline())
    OR EXISTS (SELECT FROM memberships m WHERE m.user_id = users.user_id AND m.workspace_id = (SELECT callstream_workspace()))
);

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO callstream_app;
REVOKE UPDATE, DELETE ON audit_log FROM callstream_app;
REVOKE DELETE ON workspaces, users FROM callstream_app; -- or the audit log could be deleted by way of its workspace
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO callstream_app;

-- Doors: what must be found before the workspace is known. Each takes a secret's hash or an id nobody can guess, runs
-- as the owner and gives back the one row it names. pg_temp comes last, or a temporary table could pose as ours.

CREATE FUNCTION find_api_key_v1(wanted bytea)
RETURNS TABLE (api_key_id uuid, workspace_id uuid, user_id uuid, name text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT k.api_key_id, k.workspace_id, k.user_id, k.name, m.role
    FROM api_keys k JOIN memberships m USING (workspace_id, user_id)
    WHERE k.key_hash = wanted AND k.revoked_at IS NULL
$$;

CREATE FUNCTION find_session_v1(wanted bytea)
RETURNS TABLE (workspace_id uuid, user_id uuid, csrf_token text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT s.workspace_id, s.user_id, s.csrf_token, m.role
    FROM sessions s JOIN memberships m USING (workspace_id, user_id)
    WHERE s.token_hash = wanted AND s.expires_at > now()
$$;

CREATE FUNCTION use_sign_in_link_v1(wanted bytea)
RETURNS TABLE (workspace_id uuid, user_id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE sign_in_links l SET used_at = now()
    WHERE l.token_hash = wanted AND l.used_at IS NULL AND l.expires_at > now()
    RETURNING l.workspace_id, l.user_id
$$;

CREATE FUNCTION find_webhook_endpoint_v1(wanted uuid)
RETURNS TABLE (endpoint_id uuid, workspace_id uuid, platform text, encrypted_secret bytea, owner_user_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT e.endpoint_id, e.workspace_id, e.platform, e.encrypted_secret, e.owner_user_id
    FROM webhook_endpoints e WHERE e.endpoint_id = wanted AND e.closed_at IS NULL
$$;

REVOKE ALL ON FUNCTION find_api_key_v1, find_session_v1, use_sign_in_link_v1, find_webhook_endpoint_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key_v1, find_session_v1, use_sign_in_link_v1, find_webhook_endpoint_v1 TO callstream_app;
