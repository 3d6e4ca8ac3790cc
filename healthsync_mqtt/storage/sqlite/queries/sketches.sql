-- name: add
INSERT INTO block_sketch (block, user, sketch, sealed) VALUES (?, ?, ?, ?)
ON CONFLICT (block, user) DO UPDATE SET sketch = excluded.sketch, sealed = excluded.sealed

-- name: note_unsketched
INSERT OR IGNORE INTO block_unsketched (block) VALUES (?)

-- name: newest_unsketched
SELECT max(block) FROM block_unsketched

-- name: done
DELETE FROM block_unsketched WHERE block = ?

-- name: rows_without
SELECT seq, identity, user, device, provider, type, version, op, start_us, end_us, received_us, id, body,
coalesce(position, seq), sealed FROM log
WHERE seq >= :first AND seq <= :last AND user <> 0
AND NOT EXISTS (SELECT 1 FROM block_sketch AS s WHERE s.block = :last AND s.user = log.user)
ORDER BY seq LIMIT :limit

-- name: stored_row
SELECT id, body, sealed FROM log WHERE seq = ?

-- name: of_rows
SELECT DISTINCT (SELECT min(last_seq) FROM block WHERE last_seq >= l.seq), l.user
FROM json_each(:seqs) AS asked CROSS JOIN log AS l ON l.seq = asked.value
WHERE l.user <> 0 AND (:user IS NULL OR l.user = :user) AND l.seq <= (SELECT coalesce(max(last_seq), 0) FROM block)

-- name: is_told
SELECT EXISTS (SELECT 1 FROM block_sketch WHERE block = ? AND user = 0 AND length(sketch) > 0)

-- name: forget_block
DELETE FROM block_sketch WHERE block = ?

-- name: forget
DELETE FROM block_sketch WHERE block = :block AND user IN (0, :user)

-- name: forget_user
DELETE FROM block_sketch WHERE block IN (SELECT last_seq FROM block) AND user = ?

-- name: block_of
SELECT min(last_seq) FROM block WHERE last_seq >= ?

-- name: blocks
SELECT last_seq FROM block WHERE last_seq > :low AND last_seq <= :high ORDER BY last_seq

-- name: blocks_backward
SELECT last_seq FROM block WHERE last_seq > :low AND last_seq <= :high ORDER BY last_seq DESC

-- name: of_user
SELECT b.last_seq, s.sketch, s.sealed FROM block AS b LEFT JOIN block_sketch AS s ON s.block = b.last_seq AND s.user = :user
WHERE b.last_seq > :low AND b.last_seq <= :high ORDER BY b.last_seq

-- name: of_user_backward
SELECT b.last_seq, s.sketch, s.sealed FROM block AS b LEFT JOIN block_sketch AS s ON s.block = b.last_seq AND s.user = :user
WHERE b.last_seq > :low AND b.last_seq <= :high ORDER BY b.last_seq DESC

-- name: of_block
SELECT user, sketch, sealed FROM block_sketch WHERE block = ? ORDER BY user
