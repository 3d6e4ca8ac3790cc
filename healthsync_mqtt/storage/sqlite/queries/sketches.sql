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

-- name: first_of
SELECT first FROM block_sketched WHERE block = ?

-- name: alone
SELECT last_seq FROM block WHERE last_seq > (SELECT coalesce(max(block), 0) FROM block_sketched) ORDER BY last_seq

-- name: all_sketched
SELECT NOT EXISTS (SELECT 1 FROM log WHERE seq > (SELECT coalesce(max(block), 0) FROM block_sketched))

-- name: put_together
INSERT INTO block_sketched (block, sketched, first) VALUES (?, ?, ?)

-- name: stored_row
SELECT id, body, sealed FROM log WHERE seq = ?

-- name: of_rows
SELECT DISTINCT g.sketched, l.user
FROM json_each(:seqs) AS asked CROSS JOIN log AS l ON l.seq = asked.value
CROSS JOIN block_sketched AS g ON g.block = (SELECT min(last_seq) FROM block WHERE last_seq >= l.seq)
WHERE l.user <> 0 AND (:user IS NULL OR l.user = :user)

-- name: is_told
SELECT EXISTS (SELECT 1 FROM block_sketch WHERE block = ? AND user = 0 AND length(sketch) > 0)

-- name: forget_block
DELETE FROM block_sketch WHERE block = ?

-- name: forget
DELETE FROM block_sketch WHERE block = :block AND user IN (0, :user)

-- name: forget_user
DELETE FROM block_sketch WHERE block IN (SELECT sketched FROM block_sketched WHERE block = sketched) AND user = ?

-- name: block_of
SELECT min(last_seq) FROM block WHERE last_seq >= ?

-- name: blocks
SELECT b.last_seq, g.sketched FROM block AS b LEFT JOIN block_sketched AS g ON g.block = b.last_seq
WHERE b.last_seq > :low AND b.last_seq <= :high ORDER BY b.last_seq

-- name: blocks_backward
SELECT b.last_seq, g.sketched FROM block AS b LEFT JOIN block_sketched AS g ON g.block = b.last_seq
WHERE b.last_seq > :low AND b.last_seq <= :high ORDER BY b.last_seq DESC

-- name: of_user
SELECT b.last_seq, g.sketched, s.sketch, s.sealed FROM block AS b LEFT JOIN block_sketched AS g ON g.block = b.last_seq
LEFT JOIN block_sketch AS s ON s.block = g.sketched AND s.user = :user
WHERE b.last_seq > :low AND b.last_seq <= :high ORDER BY b.last_seq

-- name: of_user_backward
SELECT b.last_seq, g.sketched, s.sketch, s.sealed FROM block AS b LEFT JOIN block_sketched AS g ON g.block = b.last_seq
LEFT JOIN block_sketch AS s ON s.block = g.sketched AND s.user = :user
WHERE b.last_seq > :low AND b.last_seq <= :high ORDER BY b.last_seq DESC

-- name: of_block
SELECT user, sketch, sealed FROM block_sketch WHERE block = ? ORDER BY user
