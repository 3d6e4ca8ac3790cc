-- name: place
SELECT epoch, seq FROM place

-- name: move
INSERT INTO place (only, epoch, seq) VALUES (1, ?, ?) ON CONFLICT (only) DO UPDATE SET epoch = ?1, seq = ?2

-- name: names
SELECT name, no FROM names WHERE substr(name, 1, 1) != char(1)

-- name: sealed_names
SELECT opened(name, '', 'name', no), no FROM names WHERE substr(name, 1, 1) = char(1)

-- name: number_of
SELECT no FROM names WHERE name = ?

-- name: add_name
INSERT INTO names (name) VALUES (?) RETURNING no

-- name: seal_name
UPDATE names SET name = sealed(?2, '', 'name', no) WHERE no = ?1

-- name: seal_sources
UPDATE names SET name = sealed(name, '', 'name', no)
WHERE no IN (SELECT source FROM part) AND no NOT IN (
    SELECT user FROM part UNION SELECT type FROM part UNION SELECT user FROM touched UNION SELECT type FROM touched
    UNION SELECT user FROM day UNION SELECT type FROM day UNION SELECT user FROM person UNION SELECT user FROM shown
)

-- name: people
SELECT user, low_us, high_us, agreed, preferred FROM person

-- name: keep_person
INSERT OR REPLACE INTO person (user, low_us, high_us, agreed, preferred) VALUES (?, ?, ?, ?, ?)

-- name: add_part
INSERT OR REPLACE INTO part (user, type, bucket, seq, id, source, worn, offset_us, start_us, end_us, received_us, numbers)
VALUES (
    ?1, ?2, ?3, ?4, sealed(?5, (SELECT name FROM names WHERE no = ?1), 'id', ?2, ?3, ?4), ?6, ?7, ?8, ?9, ?10, ?11,
    sealed(?12, (SELECT name FROM names WHERE no = ?1), 'part', ?2, ?3, ?4)
)

-- name: seal_parts
UPDATE part SET
    id = sealed(id, (SELECT name FROM names WHERE no = user), 'id', type, bucket, seq),
    numbers = sealed(numbers, (SELECT name FROM names WHERE no = user), 'part', type, bucket, seq)

-- name: drop_part
DELETE FROM part WHERE user = ? AND type = ? AND bucket BETWEEN ? AND ? AND seq = ?
RETURNING start_us, end_us, opened(numbers, (SELECT name FROM names WHERE no = user), 'part', type, bucket, seq)

-- name: parts
SELECT seq, opened(id, (SELECT name FROM names WHERE no = user), 'id', type, bucket, seq),
    source, worn, offset_us, start_us, end_us, opened(numbers, (SELECT name FROM names WHERE no = user), 'part', type, bucket, seq)
FROM part
WHERE user = ? AND type = ? AND bucket BETWEEN ? AND ? AND received_us >= ? ORDER BY bucket, seq

-- name: drop_before
DELETE FROM part WHERE user = ? AND type = ? AND received_us < ?

-- name: drop_days
DELETE FROM part WHERE user = ? AND type = ? AND bucket <= ? RETURNING bucket

-- name: types_of
SELECT type FROM part WHERE user = ?1 UNION SELECT type FROM day WHERE user = ?1

-- name: touch
INSERT OR IGNORE INTO touched (user, type, day) VALUES (?, ?, ?)

-- name: touch_days
INSERT OR IGNORE INTO touched (user, type, day) SELECT user, type, day FROM day WHERE user = ?1

-- name: touch_parts
INSERT OR IGNORE INTO touched (user, type, day)
SELECT DISTINCT part.user, part.type, part.bucket + each.value FROM part, json_each('[-1, 0, 1]') AS each WHERE part.user = ?1

-- name: touched
SELECT user, type, day FROM touched LIMIT ?

-- name: touched_after
SELECT user, type, day FROM touched WHERE user > ? ORDER BY user, type, day LIMIT 1

-- name: settle
DELETE FROM touched WHERE user = ? AND type = ? AND day = ?

-- name: day_of
SELECT opened(figures, (SELECT name FROM names WHERE no = day.user), 'day', day, type), at_us, offset_us, moments
FROM day WHERE user = ? AND day = ? AND type = ?

-- name: keep_day
INSERT OR REPLACE INTO day (user, day, type, at_us, offset_us, figures, moments, change)
VALUES (
    ?1, ?2, ?3, ?4, ?5, sealed(?6, (SELECT name FROM names WHERE no = ?1), 'day', ?2, ?3), ?7,
    (SELECT max(birth.changes, (SELECT coalesce(max(change), 0) FROM day)) FROM birth) + 1
)

-- name: seal_days
UPDATE day SET figures = sealed(figures, (SELECT name FROM names WHERE no = user), 'day', day, type), moments = 0

-- name: days
SELECT day, type, at_us, offset_us, opened(figures, (SELECT name FROM names WHERE no = day.user), 'day', day, type)
FROM day WHERE user = ? AND day BETWEEN ? AND ? AND length(figures) > 0 ORDER BY day

-- name: newest_day
SELECT max(day) FROM day WHERE user = ? AND length(figures) > 0

-- name: sources
SELECT source, count(DISTINCT seq), count(DISTINCT type), max(coalesce(end_us, start_us)) FROM part WHERE user = ? GROUP BY source

-- name: changed_since
SELECT change, user, day FROM day WHERE change > ? ORDER BY change LIMIT ?

-- name: changes_after
SELECT change, user, type, day, at_us, offset_us, opened(figures, (SELECT name FROM names WHERE no = day.user), 'day', day, type)
FROM day WHERE change > ? ORDER BY change LIMIT ?

-- name: last_change
SELECT (SELECT max(birth.changes, (SELECT coalesce(max(change), 0) FROM day)) FROM birth)

-- name: keep_last_change
UPDATE birth SET changes = (SELECT max(birth.changes, (SELECT coalesce(max(change), 0) FROM day)) FROM birth)

-- name: shown
SELECT user, opened(digest, (SELECT name FROM names WHERE no = user), 'shown') FROM shown

-- name: show
INSERT OR REPLACE INTO shown (user, digest) VALUES (?1, sealed(?2, (SELECT name FROM names WHERE no = ?1), 'shown'))

-- name: seal_shown
UPDATE shown SET digest = sealed(digest, (SELECT name FROM names WHERE no = user), 'shown')

-- name: clear
DELETE FROM shown WHERE user = ?


-- name: drop_parts
DELETE FROM part

-- name: drop_touched
DELETE FROM touched

-- name: empty_days
UPDATE day SET figures = x'', change = numbered.no + (SELECT max(birth.changes, (SELECT coalesce(max(change), 0) FROM day)) FROM birth) FROM (
    SELECT user, day, type, row_number() OVER () AS no FROM day WHERE length(figures) > 0
) AS numbered WHERE day.user = numbered.user AND day.day = numbered.day AND day.type = numbered.type

-- name: empty_days_of
UPDATE day SET figures = x'', at_us = 0, offset_us = NULL, change = numbered.no + (SELECT max(birth.changes, (SELECT coalesce(max(change), 0) FROM day)) FROM birth) FROM (
    SELECT user, day, type, row_number() OVER () AS no FROM day WHERE user = ?1 AND type = ?2 AND length(figures) > 0
) AS numbered WHERE day.user = numbered.user AND day.day = numbered.day AND day.type = numbered.type

-- name: forget_parts
DELETE FROM part WHERE user = ?

-- name: forget_touched
DELETE FROM touched WHERE user = ?

-- name: forget_days
DELETE FROM day WHERE user = ?

-- name: forget_person
DELETE FROM person WHERE user = ?

-- name: forget_name
DELETE FROM names WHERE no = ?

-- name: forget_unused
DELETE FROM names WHERE no NOT IN (
    SELECT user FROM part UNION SELECT type FROM part UNION SELECT source FROM part
    UNION SELECT user FROM touched UNION SELECT type FROM touched UNION SELECT user FROM day UNION SELECT type FROM day
    UNION SELECT user FROM person UNION SELECT user FROM shown
)
