-- put --
-- The credential of a source, verified just now; a new one takes the place of the old.
INSERT INTO import_credentials AS k (
    credential_id, workspace_id, source_id, credential_type, encrypted_credential, scopes, expires_at, last_verified_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, now())
ON CONFLICT (source_id) DO UPDATE SET
    credential_type = excluded.credential_type, encrypted_credential = excluded.encrypted_credential,
    scopes = excluded.scopes, expires_at = excluded.expires_at, last_verified_at = now(), updated_at = now()

-- get --
-- The sealed credential of a source.
SELECT encrypted_credential FROM import_credentials WHERE source_id = $1 AND workspace_id = $2

-- hold --
-- The same, held until the end of the transaction: one refresh at a time.
SELECT encrypted_credential FROM import_credentials WHERE source_id = $1 AND workspace_id = $2 FOR UPDATE

-- refreshed --
-- A fresh token.
UPDATE import_credentials SET encrypted_credential = $3, expires_at = $4, updated_at = now()
WHERE source_id = $1 AND workspace_id = $2

-- verified --
-- The source took it, just now.
UPDATE import_credentials SET last_verified_at = now() WHERE source_id = $1
