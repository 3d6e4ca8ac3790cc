-- name: overwrite
PRAGMA secure_delete=ON

-- name: overwrite_where_cheap
PRAGMA secure_delete=FAST

-- name: nobody
INSERT OR IGNORE INTO names (no, name) VALUES (0, '~erased')

-- name: husk
SELECT seq, identity, 0, NULL, NULL, 0, 0, 0, 0, NULL, received_us, '', x'', NULL FROM log WHERE seq = ? AND user = ?

-- name: take_out
DELETE FROM log WHERE seq = ? AND user = ?

-- name: put_in
INSERT INTO log (seq, identity, user, device, provider, type, version, op, start_us, end_us, received_us, id, body, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: supersede_no_more
DELETE FROM superseded WHERE seq = ?

-- name: forget_states
DELETE FROM format_state WHERE user = ?

-- name: forget_records
DELETE FROM format_record WHERE user = ?

-- name: forget_sealed_records
DELETE FROM format_record_sealed WHERE user = ?

-- name: forget_place
DELETE FROM positions WHERE user = ?

-- name: forget_known
DELETE FROM known_user WHERE user = ?

-- name: note_last_name
INSERT INTO meta (name, value) SELECT 'last_name', coalesce(max(no), 0) FROM names WHERE true
ON CONFLICT (name) DO UPDATE SET value = max(meta.value, excluded.value)

-- name: forget_name
DELETE FROM names WHERE no = ?

-- name: rows_of
SELECT u.seq FROM block AS b
CROSS JOIN block_user AS u ON u.block = b.last_seq AND u.user = :user AND u.seq > :after
CROSS JOIN log AS l ON l.seq = u.seq AND l.user = :user
WHERE b.last_seq > :after
ORDER BY b.last_seq, u.seq LIMIT :limit

-- name: rows_of_unindexed
SELECT seq FROM log WHERE seq > :after AND user = :user ORDER BY seq LIMIT :limit

-- name: named_in
SELECT DISTINCT name FROM names WHERE no IN (
    SELECT device FROM log WHERE seq IN (SELECT value FROM json_each(?1))
    UNION SELECT provider FROM log WHERE seq IN (SELECT value FROM json_each(?1))
) ORDER BY name

-- name: unused
WITH asked (no, name) AS (SELECT no, name FROM names WHERE name IN (SELECT value FROM json_each(?)))
SELECT name FROM asked WHERE no NOT IN (
    SELECT device FROM log WHERE device IN (SELECT no FROM asked)
    UNION SELECT provider FROM log WHERE provider IN (SELECT no FROM asked)
    UNION SELECT type FROM log WHERE type IN (SELECT no FROM asked)
    UNION SELECT user FROM log WHERE user IN (SELECT no FROM asked)
    UNION SELECT device FROM format_state UNION SELECT form FROM format_state UNION SELECT user FROM format_state
    UNION SELECT device FROM format_record_sealed UNION SELECT form FROM format_record_sealed
    UNION SELECT user FROM format_record_sealed
    UNION SELECT device FROM format_record UNION SELECT form FROM format_record UNION SELECT user FROM format_record
    UNION SELECT type FROM purged
) ORDER BY name

-- name: used_after
SELECT 1 FROM log WHERE seq > :after AND (device = :no OR provider = :no) LIMIT 1

-- name: overwritten
SELECT value FROM meta WHERE name = 'overwritten'

-- name: set_overwritten
UPDATE meta SET value = 1 WHERE name = 'overwritten'

-- name: users
SELECT n.name FROM (SELECT user FROM known_user UNION SELECT user FROM log WHERE seq > :through) AS u
JOIN names AS n ON n.no = u.user WHERE n.no <> 0
UNION SELECT user FROM quarantine
