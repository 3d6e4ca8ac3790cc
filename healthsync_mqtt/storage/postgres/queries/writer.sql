-- name: meta
SELECT name, value FROM meta

-- name: set_meta
INSERT INTO meta (name, value) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING

-- name: change_meta
INSERT INTO meta (name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: begin
SELECT seq, counted, pg_current_xact_id()::text, current_setting('fsync'), current_setting('full_page_writes'),
current_setting('synchronous_commit') FROM head WHERE one FOR UPDATE

-- name: known_at_head
SELECT e.epoch, l.seq, l.identity, l.received_us FROM (SELECT epoch FROM epoch ORDER BY no DESC LIMIT 1) AS e
LEFT JOIN log AS l ON l.seq = ANY (ARRAY[%s, (SELECT seq FROM head WHERE one)]::bigint[])

-- name: head
SELECT seq FROM head WHERE one

-- name: move_head
UPDATE head SET seq = %s WHERE one

-- name: write_again
UPDATE head SET seq = seq WHERE one

-- name: known
SELECT i.identity, i.seq, i.rank FROM unnest(%s::bytea[]) AS asked (identity)
JOIN identity AS i ON i.identity = asked.identity

-- name: stored
SELECT seq, position, start_us, end_us, received_us, version, op, identity, username, device, provider, type, id, body, sealed
FROM log WHERE seq = ANY (%s) ORDER BY seq

-- name: persons
SELECT username, position, array_to_string(types, ' ') FROM person WHERE username = ANY (%s)

-- name: position
SELECT position FROM person WHERE username = %s

-- name: add_identities
COPY identity (identity, seq, rank) FROM STDIN (FORMAT BINARY)

-- name: move_identities
UPDATE identity AS i SET seq = moved.seq, rank = moved.rank
FROM unnest(%s::bytea[], %s::bigint[], %s::bigint[]) AS moved (identity, seq, rank)
WHERE i.identity = moved.identity AND i.rank < moved.rank

-- name: append
COPY log (seq, position, start_us, end_us, received_us, version, op, identity, username, device, provider, type, id, body)
FROM STDIN (FORMAT BINARY)

-- name: append_sealed
COPY log (seq, position, start_us, end_us, received_us, version, op, identity, username, device, provider, type, id, body,
sealed) FROM STDIN (FORMAT BINARY)

-- name: store_again
UPDATE log AS l SET id = again.id, body = again.body, sealed = again.sealed
FROM unnest(%s::bigint[], %s::text[], %s::bytea[], %s::smallint[]) AS again (seq, id, body, sealed) WHERE l.seq = again.seq

-- name: supersede
INSERT INTO superseded (seq, by_seq) SELECT * FROM unnest(%s::bigint[], %s::bigint[])

-- name: keep_person
INSERT INTO person (username, position, types) VALUES (%s, %s, %s)
ON CONFLICT (username) DO UPDATE SET position = excluded.position, types = excluded.types

-- name: move_persons
UPDATE person AS p SET position = moved.position
FROM unnest(%s::text[], %s::bigint[]) AS moved (username, position) WHERE p.username = moved.username

-- name: set_cursor
INSERT INTO cursor (name, seq) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq

-- name: drop_cursor
DELETE FROM cursor WHERE name = %s

-- name: note_purge
INSERT INTO purged AS p (type, before_us) VALUES (%s, %s)
ON CONFLICT (type) DO UPDATE SET before_us = greatest(p.before_us, excluded.before_us)

-- name: purge
UPDATE log SET body = '' WHERE seq = ANY (%s)

-- name: keep_format_state
INSERT INTO format_state (username, device, form, state, sealed) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (username, device, form) DO UPDATE SET state = excluded.state, sealed = excluded.sealed

-- name: drop_format_records
DELETE FROM format_record WHERE username = %s AND device = %s AND form = %s
AND (name, id) IN (SELECT * FROM unnest(%s::bytea[], %s::bytea[]))

-- name: keep_format_records
INSERT INTO format_record (username, device, form, name, id)
SELECT %s, %s, %s, name, id FROM unnest(%s::bytea[], %s::bytea[]) AS named (name, id) ON CONFLICT DO NOTHING

-- name: drop_format_records_sealed
DELETE FROM format_record_sealed WHERE username = %s AND device = %s AND form = %s AND mark = ANY (%s::bytea[])

-- name: keep_format_records_sealed
INSERT INTO format_record_sealed (username, device, form, mark, record)
SELECT %s, %s, %s, mark, record FROM unnest(%s::bytea[], %s::bytea[]) AS named (mark, record) ON CONFLICT DO NOTHING

-- name: epochs
SELECT epoch FROM epoch ORDER BY no DESC

-- name: mint_epoch
INSERT INTO epoch (epoch) VALUES (%s)

-- name: row_at
SELECT seq, identity, received_us FROM log WHERE seq = %s

-- name: last_row
SELECT l.seq, l.identity, l.received_us FROM head AS h JOIN log AS l ON l.seq = h.seq WHERE h.one

-- name: take_alone
SELECT pg_try_advisory_lock(%s, hashtext(%s))

-- name: take_shared
SELECT pg_try_advisory_lock_shared(%s, hashtext(%s))

-- name: let_go
SELECT pg_advisory_unlock(%s, hashtext(%s))

-- name: move_head_and_tell
WITH moved AS (UPDATE head SET seq = %s WHERE one RETURNING seq) SELECT pg_notify(%s, seq::text) FROM moved

-- name: durability
SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')

-- name: promises
SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
current_setting('server_version'), pg_database_size(current_database())

-- name: oldest
SELECT pid, coalesce(application_name, ''), extract(epoch FROM clock_timestamp() - xact_start)::bigint FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL) ORDER BY xact_start LIMIT 1

-- name: standbys
SELECT coalesce(application_name, ''), coalesce(sync_state, ''),
CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)::bigint END FROM pg_stat_replication
WHERE state IS DISTINCT FROM 'backup' AND coalesce(application_name, '') NOT IN ('pg_basebackup', 'pg_receivewal')
ORDER BY application_name, pid

-- name: mark
SELECT value FROM meta WHERE name = %s

-- name: unset_meta
DELETE FROM meta WHERE name = %s

-- name: is_empty
SELECT NOT EXISTS (SELECT 1 FROM log) AND NOT EXISTS (SELECT 1 FROM quarantine) AND NOT EXISTS (SELECT 1 FROM format_state)
AND NOT EXISTS (SELECT 1 FROM format_record) AND NOT EXISTS (SELECT 1 FROM format_record_sealed)

-- name: forget_epochs
DELETE FROM epoch

-- name: keep_place
INSERT INTO person (username, position, types) VALUES (%s, %s, '{}')
ON CONFLICT (username) DO UPDATE SET position = excluded.position
