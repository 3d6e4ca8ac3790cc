-- name: indexed_through
SELECT coalesce(max(last_seq), 0) FROM block

-- name: last_of_runs
SELECT coalesce(max(last_seq), 0) FROM identity_run

-- name: add_block
INSERT INTO block (last_seq) VALUES (?)

-- name: unindexed
SELECT identity, seq FROM log WHERE seq > ? ORDER BY seq

-- name: newest_of
SELECT max(i.seq) FROM identity_run AS r CROSS JOIN identity AS i ON i.run = r.run AND i.identity = ?

-- name: newest_of_all
SELECT i.identity, max(i.seq) FROM identity_run AS r CROSS JOIN identity AS i
ON i.run = r.run AND i.identity IN (SELECT value FROM json_each(?)) GROUP BY i.identity

-- name: is_after
SELECT 1 FROM identity_run AS r CROSS JOIN identity AS i ON i.run = r.run AND i.identity = ?
WHERE r.last_seq > ? LIMIT 1

-- name: rows_in_runs_after
SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM identity_run WHERE last_seq > ?

-- name: identities_after
SELECT i.identity, i.seq FROM identity_run AS r CROSS JOIN identity AS i
ON i.run = r.run AND i.identity BETWEEN :low AND :high WHERE r.last_seq > :after AND i.seq > :after

-- name: add_run
INSERT INTO identity_run (level, first_seq, last_seq, merged_below)
SELECT ?, ?, ?, ? RETURNING run

-- name: fill_run
INSERT INTO identity (run, identity, seq)
SELECT ?, identity, max(seq) FROM log WHERE seq BETWEEN ? AND ? GROUP BY identity ORDER BY identity

-- name: fill_block
INSERT INTO block_user (block, user, seq)
SELECT :last, user, seq FROM log WHERE seq BETWEEN :first AND :last ORDER BY user, seq

-- name: add_known_users
INSERT OR IGNORE INTO known_user (user) SELECT DISTINCT user FROM block_user WHERE block = ?

-- name: fill_shelf
INSERT OR IGNORE INTO shelf_user (shelf, user, type)
SELECT DISTINCT :shelf, user, type FROM log WHERE seq BETWEEN :first AND :last ORDER BY user, type

-- name: unshelved
SELECT value FROM meta WHERE name = 'unshelved'

-- name: block_before
SELECT coalesce(max(last_seq), 0) FROM block WHERE last_seq < ?

-- name: set_unshelved
UPDATE meta SET value = ? WHERE name = 'unshelved'

-- name: full_level
SELECT level, min(first_seq), max(last_seq) FROM identity_run
WHERE target IS NULL AND merged_below IS NULL GROUP BY level HAVING count(*) >= ? ORDER BY level LIMIT 1

-- name: aim_level
UPDATE identity_run SET target = :target
WHERE level = :level AND target IS NULL AND merged_below IS NULL AND run <> :target

-- name: merge_in_progress
SELECT run, merged_below, last_seq - first_seq + 1 FROM identity_run WHERE merged_below IS NOT NULL ORDER BY level LIMIT 1

-- name: move_identities
INSERT INTO identity (run, identity, seq)
SELECT :target, identity, max(seq) FROM identity
WHERE run IN (SELECT run FROM identity_run WHERE target = :target) AND identity BETWEEN :low AND :high
GROUP BY identity ORDER BY identity

-- name: drop_moved
DELETE FROM identity
WHERE run IN (SELECT run FROM identity_run WHERE target = :target) AND identity BETWEEN :low AND :high

-- name: set_merged_below
UPDATE identity_run SET merged_below = ? WHERE run = ?

-- name: drop_merged_runs
DELETE FROM identity_run WHERE target = ?

-- name: filters
SELECT generation, bits_log2, first_seq, through FROM identity_filter ORDER BY generation

-- name: add_filter
INSERT INTO identity_filter (generation, bits_log2, first_seq, through) VALUES (?, ?, ?, ?)

-- name: filter_part
SELECT bits FROM identity_filter_part WHERE generation = ? AND part = ?

-- name: set_filter_part
INSERT INTO identity_filter_part (generation, part, bits) VALUES (?, ?, ?)
ON CONFLICT (generation, part) DO UPDATE SET bits = excluded.bits

-- name: set_filter_through
UPDATE identity_filter SET through = ? WHERE generation = ?
