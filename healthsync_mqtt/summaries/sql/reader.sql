-- name: birth
SELECT id FROM birth

-- name: last_change
SELECT (SELECT max(birth.changes, (SELECT coalesce(max(change), 0) FROM day)) FROM birth)

-- name: changes_after
SELECT change, user.name, type.name, day FROM day
JOIN names AS user ON user.no = day.user JOIN names AS type ON type.no = day.type
WHERE change > ? ORDER BY change LIMIT ?

-- name: people
SELECT name, low_us, high_us, agreed FROM person JOIN names ON no = user ORDER BY no

-- name: person
SELECT name, low_us, high_us, agreed FROM person JOIN names ON no = user WHERE name = ?

-- name: span
SELECT min(day), max(day) FROM day WHERE user = (SELECT no FROM names WHERE name = ?) AND length(figures) > 0

-- name: days
SELECT day, type.name, opened(figures, (SELECT name FROM names WHERE no = day.user), 'day', day, day.type), offset_us
FROM day JOIN names AS type ON type.no = day.type
WHERE user = (SELECT no FROM names WHERE name = ?) AND day BETWEEN ? AND ? AND length(figures) > 0

-- name: readings
SELECT opened(id, (SELECT name FROM names WHERE no = part.user), 'id', type, bucket, seq), source.name, worn, offset_us,
    start_us, end_us, opened(numbers, (SELECT name FROM names WHERE no = part.user), 'part', type, bucket, seq)
FROM part JOIN names AS source ON source.no = part.source
WHERE user = (SELECT no FROM names WHERE name = ?) AND type = (SELECT no FROM names WHERE name = ?) AND bucket = ?

-- name: preferred
SELECT preferred FROM person WHERE user = (SELECT no FROM names WHERE name = ?)

-- name: somebody_with_days
SELECT 1 FROM day WHERE length(figures) > 0 GROUP BY user HAVING count(DISTINCT day) >= ? LIMIT 1
