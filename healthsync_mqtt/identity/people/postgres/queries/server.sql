-- name: lock
SELECT pg_advisory_xact_lock(1213415239, hashtext($1))

-- name: durability
SELECT current_setting('fsync'), current_setting('synchronous_commit')

-- name: lock_audit
SELECT pg_advisory_xact_lock(1213415241, hashtext($1)), pg_logical_emit_message(true, 'healthsync', '')

-- name: write_again
SELECT pg_logical_emit_message(true, 'healthsync', '')

-- name: note_change
WITH clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us), gone AS (DELETE FROM installation_keys
WHERE starts_with(name, 'change of ') AND name <> $1 AND noted_us < (SELECT us FROM clock) - 3600000000)
INSERT INTO installation_keys (name, mark, noted_us) SELECT $1, $2, us FROM clock
ON CONFLICT (name) DO UPDATE SET mark = EXCLUDED.mark, noted_us = EXCLUDED.noted_us

-- name: take_change
DELETE FROM installation_keys WHERE name = $1 AND mark = $2

-- name: primary_key
SELECT a.attname::text FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = to_regclass($1) AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)

-- name: tables
SELECT c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind = 'r' ORDER BY c.relname

-- name: make_erasure_key
INSERT INTO erasure_key (key) VALUES ($1)

-- name: keep_home
SELECT pg_try_advisory_lock(1213415240, hashtext($1))

-- name: post_webhooks
SELECT pg_try_advisory_lock(1213417288, hashtext($1))

-- name: note_mark
INSERT INTO installation_keys (name, mark, noted_us) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING

-- name: change_mark
INSERT INTO installation_keys (name, mark, noted_us) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET mark = EXCLUDED.mark, noted_us = EXCLUDED.noted_us

-- name: mark
SELECT mark FROM installation_keys WHERE name = $1

-- name: marks
SELECT name, mark FROM installation_keys WHERE starts_with(name, $1)

-- name: lived_in
SELECT EXISTS (SELECT 1 FROM users WHERE id <> '_erased_') OR EXISTS (SELECT 1 FROM audit)

-- name: version
SELECT version FROM schema_version

-- name: erasure_key
SELECT key FROM erasure_key

-- name: change_erasure_key
UPDATE erasure_key SET key = $1

-- name: revocation_lists
SELECT number FROM revocation_lists

-- name: change_revocation_lists
UPDATE revocation_lists SET number = $1

-- name: history
SELECT (SELECT system_identifier FROM pg_control_system())::text
|| CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END

-- name: raise_generation
UPDATE generation SET value = greatest(value + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)

-- name: generation
SELECT value FROM generation

-- name: change_generation
UPDATE generation SET value = $1 + 1
