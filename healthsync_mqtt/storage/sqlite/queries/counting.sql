-- name: uncounted
SELECT value FROM meta WHERE name = 'uncounted'

-- name: set_uncounted
UPDATE meta SET value = ? WHERE name = 'uncounted'

-- name: add_count
INSERT INTO shelf_count (shelf, user, type, device, provider, day, events) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (shelf, user, type, device, provider, day) DO UPDATE SET events = events + excluded.events

-- name: count_block
INSERT INTO shelf_count (shelf, user, type, device, provider, day, events)
SELECT :shelf, user, type, coalesce(device, 0), coalesce(provider, 0),
start_us / 86400000000 - (start_us < 0 AND start_us % 86400000000 <> 0), sum(op = 0 AND length(body) > 0)
FROM log WHERE seq BETWEEN :first AND :last AND user <> 0
GROUP BY 2, 3, 4, 5, 6
ON CONFLICT (shelf, user, type, device, provider, day) DO UPDATE SET events = events + excluded.events

-- name: uncount_superseded_by
INSERT INTO shelf_count (shelf, user, type, device, provider, day, events)
SELECT (SELECT min(last_seq) FROM block WHERE last_seq >= l.seq) >> :width, user, type, coalesce(device, 0), coalesce(provider, 0),
start_us / 86400000000 - (start_us < 0 AND start_us % 86400000000 <> 0), -count(*)
FROM superseded AS s CROSS JOIN log AS l ON l.seq = s.seq
WHERE s.by_seq BETWEEN :first AND :last AND s.seq > :uncounted AND user <> 0 AND op = 0 AND length(body) > 0
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT (shelf, user, type, device, provider, day) DO UPDATE SET events = events + excluded.events

-- name: uncount_superseded
INSERT INTO shelf_count (shelf, user, type, device, provider, day, events)
SELECT :shelf, user, type, coalesce(device, 0), coalesce(provider, 0),
start_us / 86400000000 - (start_us < 0 AND start_us % 86400000000 <> 0), -count(*)
FROM superseded AS s CROSS JOIN log AS l ON l.seq = s.seq
WHERE s.seq BETWEEN :first AND :last AND s.by_seq <= :indexed AND user <> 0 AND op = 0 AND length(body) > 0
GROUP BY 2, 3, 4, 5, 6
ON CONFLICT (shelf, user, type, device, provider, day) DO UPDATE SET events = events + excluded.events

-- name: uncount_rows
INSERT INTO shelf_count (shelf, user, type, device, provider, day, events)
SELECT (SELECT min(last_seq) FROM block WHERE last_seq >= l.seq) >> :width, user, type, coalesce(device, 0), coalesce(provider, 0),
start_us / 86400000000 - (start_us < 0 AND start_us % 86400000000 <> 0), -count(*)
FROM (SELECT DISTINCT value FROM json_each(:seqs)) AS asked CROSS JOIN log AS l ON l.seq = asked.value
WHERE (:user IS NULL OR user = :user) AND l.seq > :uncounted AND l.seq <= :indexed
AND user <> 0 AND op = 0 AND length(body) > 0
AND NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = l.seq AND s.by_seq <= :indexed)
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT (shelf, user, type, device, provider, day) DO UPDATE SET events = events + excluded.events

-- name: fill_versions
INSERT INTO block_version (block, version, seq)
SELECT :last, version, seq FROM log WHERE seq BETWEEN :first AND :last AND version <> 0 AND user <> 0 ORDER BY version, seq

-- name: forget_version
DELETE FROM block_version
WHERE block = (SELECT min(last_seq) FROM block WHERE last_seq >= :seq)
AND version = (SELECT version FROM log WHERE seq = :seq AND user = :user) AND seq = :seq

-- name: forget_counts
WITH RECURSIVE shelf (no) AS (SELECT 0 UNION ALL SELECT no + 1 FROM shelf WHERE no < :last)
DELETE FROM shelf_count WHERE shelf IN (SELECT no FROM shelf) AND user = :user

-- name: forget_shelves
WITH RECURSIVE shelf (no) AS (SELECT 0 UNION ALL SELECT no + 1 FROM shelf WHERE no < :last)
DELETE FROM shelf_user WHERE shelf IN (SELECT no FROM shelf) AND user = :user

-- name: kept
SELECT user, type, device, provider, CASE WHEN :days THEN day ELSE 0 END, sum(events) FROM shelf_count
WHERE (:type IS NULL OR type = :type) AND (:device IS NULL OR device = :device)
AND (:first_day IS NULL OR day >= :first_day) AND (:end_day IS NULL OR day < :end_day)
GROUP BY 1, 2, 3, 4, 5

-- name: kept_of_user
WITH RECURSIVE shelf (no) AS (SELECT 0 UNION ALL SELECT no + 1 FROM shelf WHERE no < :last)
SELECT user, type, device, provider, CASE WHEN :days THEN day ELSE 0 END, sum(events)
FROM shelf CROSS JOIN shelf_count AS c ON c.shelf = shelf.no AND c.user = :user
WHERE (:type IS NULL OR type = :type) AND (:device IS NULL OR device = :device)
AND (:first_day IS NULL OR day >= :first_day) AND (:end_day IS NULL OR day < :end_day)
GROUP BY 1, 2, 3, 4, 5

-- name: superseded_since
SELECT user, type, coalesce(device, 0), coalesce(provider, 0),
CASE WHEN :days THEN start_us / 86400000000 - (start_us < 0 AND start_us % 86400000000 <> 0) ELSE 0 END, -count(*)
FROM superseded AS s CROSS JOIN log AS l ON l.seq = s.seq
WHERE s.by_seq > :indexed AND s.seq > :uncounted AND s.seq <= :indexed
AND (:user IS NULL OR user = :user) AND (:type IS NULL OR type = :type) AND (:device IS NULL OR device = :device)
AND (:since IS NULL OR start_us >= :since) AND (:until IS NULL OR start_us < :until)
AND user <> 0 AND op = 0 AND length(body) > 0
GROUP BY 1, 2, 3, 4, 5

-- name: scan
SELECT user, type, coalesce(device, 0), coalesce(provider, 0),
CASE WHEN :days THEN start_us / 86400000000 - (start_us < 0 AND start_us % 86400000000 <> 0) ELSE 0 END, count(*) FROM log
WHERE seq > :after AND (:through IS NULL OR seq <= :through)
AND (:user IS NULL OR user = :user) AND (:type IS NULL OR type = :type) AND (:device IS NULL OR device = :device)
AND (:since IS NULL OR start_us >= :since) AND (:until IS NULL OR start_us < :until)
AND user <> 0 AND op = 0 AND NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = log.seq) AND length(body) > 0
GROUP BY 1, 2, 3, 4, 5

-- name: scan_of_user
SELECT l.user, type, coalesce(device, 0), coalesce(provider, 0),
CASE WHEN :days THEN start_us / 86400000000 - (start_us < 0 AND start_us % 86400000000 <> 0) ELSE 0 END, count(*)
FROM block AS b
CROSS JOIN block_user AS u ON u.block = b.last_seq AND u.user = :user AND u.seq > :after
CROSS JOIN log AS l ON l.seq = u.seq AND l.user = :user
WHERE b.last_seq > :low AND b.last_seq <= :high AND (:type IS NULL OR type = :type) AND (:device IS NULL OR device = :device)
AND (:since IS NULL OR start_us >= :since) AND (:until IS NULL OR start_us < :until)
AND op = 0 AND NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = l.seq) AND length(body) > 0
GROUP BY 1, 2, 3, 4, 5

-- name: sealed_of_user
SELECT l.sealed, l.id, l.body FROM block AS b
CROSS JOIN block_user AS u ON u.block = b.last_seq AND u.user = :user
CROSS JOIN log AS l ON l.seq = u.seq AND l.user = :user
WHERE b.last_seq > :low AND b.last_seq <= :high AND l.sealed IS NOT NULL
ORDER BY b.last_seq, u.seq LIMIT 1

-- name: sealed_since
SELECT user, min(seq), sealed, id, body FROM log
WHERE seq > :indexed AND sealed IS NOT NULL AND user <> 0 AND (:user IS NULL OR user = :user) GROUP BY user
