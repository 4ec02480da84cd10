-- see_all --
-- What is spent of an account belongs to no workspace: for this transaction, whoever asks may see it.
SELECT set_config('callstream.scope', 'pipeline', true)

-- take --
-- A bucket and the time, held until the end of the transaction. The time is read when it is held, so it never goes back.
WITH held AS MATERIALIZED (
    SELECT spent, share, share_at, blocked_until FROM rate_budgets WHERE account = $1 AND bucket = $2 FOR UPDATE
)
SELECT spent, share, share_at, blocked_until, clock_timestamp() AS now FROM held

-- begin --
-- A bucket of which nothing is spent yet.
INSERT INTO rate_budgets (account, bucket) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- keep --
-- How a bucket stands now.
UPDATE rate_budgets SET spent = $3, share = $4, share_at = $5, blocked_until = $6 WHERE account = $1 AND bucket = $2

-- look --
-- All buckets of an account, without holding them.
SELECT bucket, spent, blocked_until, clock_timestamp() AS now FROM rate_budgets WHERE account = $1
