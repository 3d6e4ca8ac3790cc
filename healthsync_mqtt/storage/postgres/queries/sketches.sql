-- name: add
INSERT INTO sketch (block, username, sketch, sealed) SELECT %s, * FROM unnest(%s::text[], %s::bytea[], %s::smallint[])
ON CONFLICT (block, username) DO UPDATE SET sketch = excluded.sketch, sealed = excluded.sealed

-- name: note_unsketched
INSERT INTO unsketched AS u (block) VALUES (%s) ON CONFLICT (block) DO UPDATE SET times = u.times + 1

-- name: is_noted
SELECT EXISTS (SELECT 1 FROM unsketched WHERE block = %s)

-- name: newest_unsketched
SELECT block, times FROM unsketched WHERE block < %s ORDER BY block DESC LIMIT 1

-- name: done
DELETE FROM unsketched WHERE block = %s AND times = %s

-- name: rows_without
SELECT l.seq, l.position, l.start_us, l.end_us, l.received_us, l.version, l.op, l.identity, l.username, l.device, l.provider,
l.type, l.id, l.body, l.sealed
FROM log AS l WHERE l.seq > %(after)s AND l.seq <= %(through)s AND l.username <> %(nobody)s
AND NOT EXISTS (SELECT 1 FROM sketch AS s WHERE s.block = %(block)s AND s.username = l.username)
ORDER BY l.seq LIMIT %(limit)s

-- name: of_rows
SELECT DISTINCT (l.seq - 1) >> %(width)s AS block, l.username FROM log AS l
WHERE l.seq = ANY (%(seqs)s) AND l.username <> %(nobody)s AND (%(user)s::text IS NULL OR l.username = %(user)s)
ORDER BY block, l.username

-- name: is_told
SELECT EXISTS (SELECT 1 FROM sketch WHERE block = %s AND username = '' AND length(sketch) > 0)

-- name: forget_block
DELETE FROM sketch WHERE block = %s

-- name: forget
DELETE FROM sketch WHERE block = %s AND username IN ('', %s)

-- name: forget_user
DELETE FROM sketch WHERE username = %s

-- name: of_user
SELECT block, username, sketch, sealed FROM sketch
WHERE username = %(user)s AND block >= %(first)s AND block <= %(last)s ORDER BY block

-- name: of_blocks
SELECT block, username, sketch, sealed FROM sketch WHERE block = ANY (%s) AND username <> '' ORDER BY block, username
