-- name: writer_generation
SELECT value FROM meta WHERE name = 'writer'

-- name: take_over
UPDATE meta SET value = value + 1 WHERE name = 'writer' RETURNING value

-- name: meta
SELECT name, value FROM meta

-- name: mint_epoch
UPDATE meta SET value = ? WHERE name = 'epoch'

-- name: head
SELECT coalesce(max(seq), 0) FROM log

-- name: is_empty
SELECT NOT EXISTS (SELECT 1 FROM log) AND NOT EXISTS (SELECT 1 FROM quarantine) AND NOT EXISTS (SELECT 1 FROM format_state)
AND NOT EXISTS (SELECT 1 FROM format_record)

-- name: last_row
SELECT seq, identity, received_us FROM log ORDER BY seq DESC LIMIT 1

-- name: row_at
SELECT seq, identity, received_us FROM log WHERE seq = ?

-- name: names
SELECT name, no FROM names

-- name: add_name
INSERT INTO names (no, name)
SELECT 1 + max((SELECT coalesce(max(no), 0) FROM names),
coalesce((SELECT value FROM meta WHERE name = 'last_name'), 0)), ? RETURNING no

-- name: append
INSERT INTO log (seq, identity, user, device, provider, type, version, op, start_us, end_us, received_us, id, body, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: append_as
INSERT INTO log (seq, identity, user, device, provider, type, version, op, start_us, end_us, received_us, id, body, position, sealed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: position
SELECT last FROM positions WHERE user = ?

-- name: set_position
INSERT INTO positions (user, last) VALUES (?, ?) ON CONFLICT (user) DO UPDATE SET last = excluded.last

-- name: whole_rows
SELECT seq, identity, user, device, provider, type, version, op, start_us, end_us, received_us, id, body,
coalesce(position, seq), sealed FROM log WHERE seq IN (SELECT value FROM json_each(?))

-- name: supersede
INSERT INTO superseded (seq, by_seq) VALUES (?, ?)

-- name: set_cursor
INSERT INTO cursors (name, seq) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq

-- name: drop_cursor
DELETE FROM cursors WHERE name = ?

-- name: rows_as_they_are
SELECT seq, identity, user, device, provider, type, version, op, start_us, end_us, received_us, id, body, position, sealed
FROM log WHERE seq = ?

-- name: take_out
DELETE FROM log WHERE seq = ?

-- name: note_purge
INSERT INTO purged (type, before_us) VALUES (?, ?)
ON CONFLICT (type) DO UPDATE SET before_us = max(before_us, excluded.before_us)

-- name: reclaim
PRAGMA incremental_vacuum(200)

-- name: keep_format_state
INSERT INTO format_state (user, device, form, state, sealed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (user, device, form) DO UPDATE SET state = excluded.state, sealed = excluded.sealed

-- name: keep_format_record
INSERT INTO format_record (user, device, form, name, id) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: drop_format_record
DELETE FROM format_record WHERE user = ? AND device = ? AND form = ? AND name = ? AND id = ?

-- name: keep_format_record_sealed
INSERT INTO format_record_sealed (user, device, form, mark, record) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: drop_format_record_sealed
DELETE FROM format_record_sealed WHERE user = ? AND device = ? AND form = ? AND mark = ?

-- name: note_format_records
INSERT INTO meta (name, value) VALUES ('format_records', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1

-- name: set_meta
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: unset_meta
DELETE FROM meta WHERE name = ?
