-- name: take
SELECT pg_try_advisory_lock(%s, hashtext(%s))

-- name: leave
SELECT pg_advisory_unlock(%s, hashtext(%s))

-- name: claimed
SELECT value FROM meta WHERE name = 'sinks'

-- name: claim
INSERT INTO meta (name, value) VALUES ('sinks', %s) ON CONFLICT (name) DO NOTHING

-- name: adopt
INSERT INTO meta (name, value) VALUES ('sinks', %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value
