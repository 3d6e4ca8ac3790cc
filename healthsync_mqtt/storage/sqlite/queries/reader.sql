-- part: row
seq, user, device, provider, id, type, start_us, end_us, received_us, version, op, body,
coalesce(position, seq), identity, sealed

-- part: row_of_l
l.seq, l.user, device, provider, id, type, start_us, end_us, received_us, version, op, body,
coalesce(position, l.seq), identity, sealed

-- part: row_of_version
l.seq, l.user, device, provider, id, type, start_us, end_us, received_us, l.version, op, body,
coalesce(position, l.seq), identity, sealed

-- part: of_kind
(:type IS NULL OR type = :type) AND (:since IS NULL OR start_us >= :since)
AND (:until IS NULL OR start_us < :until) AND (:device IS NULL OR device = :device)

-- name: meta_value
SELECT value FROM meta WHERE name = ?

-- name: user_count
SELECT count(*) FROM (SELECT user FROM known_user UNION SELECT user FROM log WHERE seq > :through) WHERE user <> 0

-- name: number_of
SELECT no FROM names WHERE name = ?

-- name: names_by_number
SELECT no, name FROM names

-- name: scan_forward
SELECT {row} FROM log
WHERE seq > :after AND seq <= :through AND (:user IS NULL OR user = :user) AND {of_kind}
AND (:version IS NULL OR version = :version)
AND (:history OR NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = log.seq))
AND length(body) > 0
ORDER BY seq LIMIT :limit

-- name: scan_backward
SELECT {row} FROM log
WHERE seq > :after AND seq <= :through AND (:user IS NULL OR user = :user) AND {of_kind}
AND (:version IS NULL OR version = :version)
AND (:history OR NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = log.seq))
AND (:before IS NULL OR seq < :before) AND length(body) > 0
ORDER BY seq DESC LIMIT :limit

-- name: user_forward
SELECT {row_of_l}
FROM block AS b
CROSS JOIN block_user AS u ON u.block = b.last_seq AND u.user = :user AND u.seq > :after
CROSS JOIN log AS l ON l.seq = u.seq
WHERE b.last_seq > :low AND b.last_seq <= :high AND {of_kind}
AND (:version IS NULL OR version = :version)
AND (:history OR NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = l.seq))
AND length(body) > 0
ORDER BY b.last_seq, u.seq LIMIT :limit

-- name: stretch
SELECT {row} FROM log
WHERE seq > :after AND seq <= :through AND (:user IS NULL OR user = :user) AND length(body) > 0
ORDER BY seq LIMIT :limit

-- name: user_stretch
SELECT {row_of_l}
FROM block AS b
CROSS JOIN block_user AS u ON u.block = b.last_seq AND u.user = :user AND u.seq > :after AND u.seq <= :through
CROSS JOIN log AS l ON l.seq = u.seq
WHERE b.last_seq > :low AND b.last_seq <= :high AND length(body) > 0
ORDER BY b.last_seq, u.seq LIMIT :limit

-- name: user_places
SELECT u.seq FROM block AS b
CROSS JOIN block_user AS u ON u.block = b.last_seq AND u.user = :user AND u.seq > :after
WHERE b.last_seq > :low AND b.last_seq <= :high
ORDER BY b.last_seq, u.seq LIMIT :look

-- name: next_of_user
SELECT u.seq FROM block AS b
CROSS JOIN block_user AS u ON u.block = b.last_seq AND u.user = :user AND u.seq > :after AND u.seq <= :through
WHERE b.last_seq > :low AND b.last_seq <= :high
ORDER BY b.last_seq, u.seq LIMIT 1

-- name: types_of_user
WITH RECURSIVE shelf (no) AS (
    SELECT :first WHERE :first <= :last UNION ALL SELECT no + 1 FROM shelf WHERE no < :last
), found (type) AS (
    SELECT u.type FROM shelf CROSS JOIN shelf_user AS u ON u.shelf = shelf.no AND u.user = :user
    UNION
    SELECT c.type FROM shelf CROSS JOIN shelf_count AS c ON c.shelf = shelf.no AND c.user = :user
    UNION
    SELECT l.type FROM block AS b
    CROSS JOIN block_user AS u ON u.block = b.last_seq AND u.user = :user CROSS JOIN log AS l ON l.seq = u.seq
    WHERE b.last_seq <= :unshelved
    UNION
    SELECT type FROM log WHERE seq > :indexed AND user = :user
)
SELECT n.name FROM found JOIN names AS n ON n.no = found.type ORDER BY n.name

-- name: next_unindexed
SELECT seq FROM log WHERE seq > :after AND seq <= :through AND user = :user ORDER BY seq LIMIT 1

-- name: user_backward
SELECT {row_of_l}
FROM block AS b
CROSS JOIN block_user AS u ON u.block = b.last_seq AND u.user = :user AND u.seq > :after
CROSS JOIN log AS l ON l.seq = u.seq
WHERE b.last_seq > :low AND b.last_seq <= :high AND {of_kind}
AND (:version IS NULL OR version = :version)
AND (:history OR NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = l.seq))
AND (:before IS NULL OR l.seq < :before) AND length(body) > 0
ORDER BY b.last_seq DESC, u.seq DESC LIMIT :limit

-- name: version_forward
SELECT {row_of_version}
FROM block AS b
CROSS JOIN block_version AS v ON v.block = b.last_seq AND v.version = :version AND v.seq > :after
CROSS JOIN log AS l ON l.seq = v.seq
WHERE b.last_seq > :low AND b.last_seq <= :high AND {of_kind}
AND (:history OR NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = l.seq))
AND length(body) > 0
ORDER BY b.last_seq, v.seq LIMIT :limit

-- name: version_backward
SELECT {row_of_version}
FROM block AS b
CROSS JOIN block_version AS v ON v.block = b.last_seq AND v.version = :version AND v.seq > :after
CROSS JOIN log AS l ON l.seq = v.seq
WHERE b.last_seq > :low AND b.last_seq <= :high AND {of_kind}
AND (:history OR NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = l.seq))
AND (:before IS NULL OR l.seq < :before) AND length(body) > 0
ORDER BY b.last_seq DESC, v.seq DESC LIMIT :limit

-- name: get
SELECT {row} FROM log WHERE seq = ?

-- name: every
SELECT {row} FROM log WHERE seq > ? ORDER BY seq LIMIT ?

-- name: superseded_between
SELECT by_seq, seq FROM superseded WHERE by_seq BETWEEN ? AND ?

-- name: superseded_by_these
SELECT by_seq, seq FROM superseded WHERE by_seq IN (SELECT value FROM json_each(?))

-- name: newest_unindexed
SELECT max(seq) FROM log WHERE seq > :through AND identity = :identity

-- name: cursor
SELECT seq FROM cursors WHERE name = ?

-- name: cursors
SELECT name, seq FROM cursors ORDER BY name

-- name: rejected
SELECT no, reason, field, message, user, device, provider, topic, received_us, event_id, raw,
coalesce(size, length(raw)), sha256, count, coalesce(last_us, received_us), due_us,
coalesce(form, 'json'), sealed FROM quarantine
WHERE no > :after AND (:user IS NULL OR user = :user) ORDER BY no LIMIT :limit

-- name: rejected_before
SELECT no, reason, field, message, user, device, provider, topic, received_us, event_id, raw,
coalesce(size, length(raw)), sha256, count, coalesce(last_us, received_us), due_us,
coalesce(form, 'json'), sealed FROM quarantine
WHERE no > :after AND no < :before AND (:user IS NULL OR user = :user) ORDER BY no DESC LIMIT :limit

-- name: rejected_due
SELECT no FROM quarantine WHERE due_us <= ? ORDER BY due_us, no LIMIT ?

-- name: rejected_old
SELECT no FROM quarantine WHERE no > :after AND coalesce(last_us, received_us) < :before
AND (:user IS NULL OR user = :user) AND coalesce(due_us > :spare, 1) ORDER BY no LIMIT :limit

-- name: rejected_get
SELECT no, reason, field, message, user, device, provider, topic, received_us, event_id, raw,
coalesce(size, length(raw)), sha256, count, coalesce(last_us, received_us), due_us,
coalesce(form, 'json'), sealed FROM quarantine WHERE no = ?

-- name: superseded_count
SELECT count(*) FROM superseded

-- name: rejected_count
SELECT count(*) FROM quarantine

-- name: purgeable
SELECT log.seq FROM log
WHERE log.seq > :after AND log.seq <= :through AND type = :type AND start_us < :before AND op = 0 AND length(body) > 0
AND NOT EXISTS (
    -- What supersedes it, directly or through others, needs its body for as long as it is not shipped itself.
    WITH RECURSIVE newer (seq) AS (
        SELECT by_seq FROM superseded WHERE superseded.seq = log.seq
        UNION ALL
        SELECT by_seq FROM superseded JOIN newer ON superseded.seq = newer.seq
    )
    SELECT 1 FROM newer WHERE newer.seq > :shipped
)
ORDER BY log.seq

-- name: purged_before
SELECT before_us FROM purged WHERE type = ?

-- name: format_state
SELECT state, sealed FROM format_state WHERE user = ? AND device = ? AND form = ?

-- name: format_states_of
SELECT d.name, f.name, s.state, s.sealed FROM format_state AS s
JOIN names AS d ON d.no = s.device JOIN names AS f ON f.no = s.form
WHERE s.user = ? ORDER BY d.name, f.name

-- name: format_users
SELECT DISTINCT u.name FROM format_state AS s JOIN names AS u ON u.no = s.user WHERE s.state <> x'' ORDER BY u.name

-- name: format_records
SELECT name, id FROM format_record
WHERE user = :user AND device = :device AND form = :form AND name >= :prefix AND name < :beyond
ORDER BY name, id LIMIT :limit

-- name: format_states
SELECT u.name, d.name, f.name, s.state, s.sealed FROM format_state AS s
JOIN names AS u ON u.no = s.user JOIN names AS d ON d.no = s.device JOIN names AS f ON f.no = s.form

-- name: format_records_of_all
SELECT u.name, d.name, f.name, r.name, r.id FROM format_record AS r
JOIN names AS u ON u.no = r.user JOIN names AS d ON d.no = r.device JOIN names AS f ON f.no = r.form
ORDER BY r.user, r.device, r.form, r.name, r.id

-- name: format_records_version
SELECT value FROM meta WHERE name = 'format_records'

-- name: format_records_sealed
SELECT record FROM format_record_sealed WHERE user = ? AND device = ? AND form = ?

-- name: format_records_sealed_of_all
SELECT u.name, d.name, f.name, r.record FROM format_record_sealed AS r
JOIN names AS u ON u.no = r.user JOIN names AS d ON d.no = r.device JOIN names AS f ON f.no = r.form
