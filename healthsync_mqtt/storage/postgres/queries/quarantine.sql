-- name: count_up
UPDATE quarantine SET times = times + %s, last_us = %s, due_us = CASE WHEN sha256 IS NULL THEN %s::bigint END
WHERE fingerprint = %s

-- name: add
INSERT INTO quarantine (reason, field, message, username, device, provider, topic, received_us, event_id, raw, size, sha256,
times, last_us, due_us, form, fingerprint)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)

-- name: marked
SELECT no FROM quarantine WHERE fingerprint = %s

-- name: next_number
SELECT nextval(pg_get_serial_sequence('quarantine', 'no'))

-- name: hold_bytes
INSERT INTO quarantine_held AS h (username, device, bytes) VALUES (%s, %s, %s)
ON CONFLICT (username, device) DO UPDATE SET bytes = h.bytes + excluded.bytes

-- name: release_nothing
DELETE FROM quarantine_held WHERE username = %s AND device = %s AND bytes <= 0

-- name: discard
DELETE FROM quarantine WHERE no = ANY (%s) RETURNING username, coalesce(device, ''), length(raw)

-- name: hold
UPDATE quarantine SET due_us = %s, last_us = %s WHERE no = %s

-- name: purge
DELETE FROM quarantine WHERE no = ANY (%(numbers)s) AND last_us < %(before)s AND coalesce(due_us > %(spare)s::bigint, true)
RETURNING username, coalesce(device, ''), length(raw)

-- name: bytes_of_device
SELECT bytes FROM quarantine_held WHERE username = %s AND device = %s

-- name: bytes_of_user
SELECT coalesce(sum(bytes), 0)::bigint FROM quarantine_held WHERE username = %s

-- name: bytes_of_all
SELECT coalesce(sum(bytes), 0)::bigint FROM quarantine_held

-- name: oldest_of_device
SELECT no, length(raw) FROM quarantine WHERE username = %s AND coalesce(device, '') = %s ORDER BY no LIMIT %s

-- name: oldest_of_user
SELECT no, length(raw) FROM quarantine WHERE username = %s ORDER BY no LIMIT %s

-- name: oldest_of_all
SELECT no, length(raw) FROM quarantine ORDER BY no LIMIT %s

-- name: adopt
INSERT INTO quarantine (no, reason, field, message, username, device, provider, topic, received_us, event_id, raw, size, sha256,
times, last_us, due_us, form, fingerprint, sealed) OVERRIDING SYSTEM VALUE
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)

-- name: last
SELECT coalesce(max(no), 0) FROM quarantine

-- name: count_on
SELECT setval(pg_get_serial_sequence('quarantine', 'no'), greatest(%s::bigint, 1))
