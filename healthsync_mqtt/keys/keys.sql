-- name: facts
SELECT name, value FROM ring

-- name: set_fact
INSERT INTO ring (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: newest_of
SELECT no, id, owner, provider, wrapped FROM data_key WHERE owner = ? ORDER BY no DESC LIMIT 1

-- name: oldest_of
SELECT no, id, owner, provider, wrapped FROM data_key WHERE owner = ? ORDER BY no LIMIT 1

-- name: by_id
SELECT no, id, owner, provider, wrapped FROM data_key WHERE id = ?

-- name: after
SELECT no, id, owner, provider, wrapped FROM data_key WHERE no > ? ORDER BY no LIMIT ?

-- name: add
INSERT INTO data_key (id, owner, provider, wrapped, created_us) VALUES (?, ?, ?, ?, ?) RETURNING no

-- name: rewrap
UPDATE data_key SET provider = ?, wrapped = ? WHERE no = ? AND wrapped = ?

-- name: destroy
DELETE FROM data_key WHERE owner = ? RETURNING id

-- name: give_up
DELETE FROM data_key WHERE no = ? AND wrapped = ? RETURNING id

-- name: note_destroyed
INSERT INTO destroyed_key (id) VALUES (?) ON CONFLICT DO NOTHING

-- name: was_destroyed
SELECT count(*) FROM destroyed_key WHERE id = ?

-- name: destroyed
UPDATE ring SET value = value + 1 WHERE name = 'destroyed'

-- name: owners
SELECT count(DISTINCT owner) FROM data_key WHERE owner >= ? AND owner < ?

-- name: owners_named
SELECT DISTINCT owner FROM data_key WHERE owner >= ? AND owner < ? ORDER BY owner

-- name: count
SELECT provider, count(*) FROM data_key GROUP BY provider
