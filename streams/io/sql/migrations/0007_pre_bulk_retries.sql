-- Retries of many go on after their process died: one process at a time has a lease on each.

ALTER TABLE bulk_retries ADD COLUMN leased_by uuid, ADD COLUMN leased_until timestamptz;
CREATE INDEX bulk_retries_unfinished ON bulk_retries (created_at) WHERE finished_at IS NULL;
COMMENT ON COLUMN bulk_retries.leased_until IS 'until then its holder works on it; later anybody may take it over';
COMMENT ON COLUMN bulk_retries.finished_at IS 'when the turn of the last one had come';
COMMENT ON COLUMN bulk_retry_calls.sent_at IS
    'when it was sent on its way, or seen to need it no more; null: its turn has not come';

CREATE FUNCTION take_bulk_retry_v1(holder uuid, seconds double precision)
RETURNS TABLE (bulk_retry_id uuid, workspace_id uuid, rate real)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE bulk_retries b SET leased_by = holder, leased_until = now() + make_interval(secs => seconds)
    WHERE b.bulk_retry_id = (
        SELECT u.bulk_retry_id FROM bulk_retries u
        WHERE u.finished_at IS NULL AND (u.leased_until IS NULL OR u.leased_until < now())
        ORDER BY u.created_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING b.bulk_retry_id, b.workspace_id, b.rate
$$;
REVOKE ALL ON FUNCTION take_bulk_retry_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_bulk_retry_v1 TO callstream_app;
