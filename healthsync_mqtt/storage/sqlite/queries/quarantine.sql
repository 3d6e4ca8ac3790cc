-- name: add
INSERT INTO quarantine (no, reason, field, message, user, device, provider, topic, received_us, event_id, raw, fingerprint, size, sha256, due_us, form, count, last_us, sealed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: count_up
UPDATE quarantine SET count = count + ?, last_us = ?, due_us = iif(sha256 IS NULL, ?, NULL)
WHERE no = (SELECT no FROM quarantine WHERE user = ? AND device IS ? AND fingerprint = ? LIMIT 1) RETURNING fingerprint

-- name: discard
DELETE FROM quarantine WHERE no = ? RETURNING user, device, length(raw)

-- name: hold
UPDATE quarantine SET due_us = ?, last_us = ? WHERE no = ?

-- name: purge
DELETE FROM quarantine WHERE no IN (SELECT value FROM json_each(:numbers)) AND coalesce(last_us, received_us) < :before
AND coalesce(due_us > :spare, 1) RETURNING user, device, length(raw)

-- name: forget_user
DELETE FROM quarantine WHERE user = ? RETURNING user, device, length(raw)

-- name: held
SELECT user, device, sum(length(raw)) + count(*) * ? FROM quarantine GROUP BY user, device

-- name: oldest_of_device
SELECT no, length(raw) FROM quarantine WHERE user = ? AND device IS ? ORDER BY no LIMIT ?

-- name: oldest_of_user
SELECT no, length(raw) FROM quarantine INDEXED BY quarantine_user WHERE user = ? ORDER BY no LIMIT ?

-- name: oldest
SELECT no, length(raw) FROM quarantine ORDER BY no LIMIT ?

-- name: last_number
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'quarantine'), 0)

-- name: last
SELECT coalesce(max(no), 0) FROM quarantine
