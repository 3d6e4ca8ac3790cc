-- name: providers
-- One step in the index for each, however many rows it has.
WITH RECURSIVE each (name) AS (
    SELECT min(provider) FROM inbox
    UNION ALL
    SELECT (SELECT min(provider) FROM inbox WHERE provider > each.name) FROM each WHERE each.name IS NOT NULL
)
SELECT name FROM each WHERE name IS NOT NULL

-- name: waiting_of
SELECT count(*), coalesce(sum(length(body)), 0) FROM inbox WHERE provider = ?

-- name: put
INSERT INTO inbox (provider, mark, body, received_us) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: due
SELECT id, provider, received_us, failures FROM inbox WHERE provider = ? AND due_us <= ? ORDER BY id LIMIT ?

-- name: begin
UPDATE inbox SET begun = 1 WHERE id = ? RETURNING body

-- name: body
SELECT body FROM inbox WHERE id = ?

-- name: failed_before
SELECT id, provider, received_us, failures FROM inbox WHERE provider = ? AND id < ? AND due_us > 0 ORDER BY id

-- name: remove
DELETE FROM inbox WHERE id = ?

-- name: later
UPDATE inbox SET due_us = ?, failures = failures + ? WHERE id = ?

-- name: waiting
SELECT provider, count(*) FROM inbox GROUP BY provider

-- name: hook_secrets
SELECT secrets FROM hooks WHERE provider = ?

-- name: add_hook
INSERT INTO hooks (provider, secrets) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: keep_secrets
UPDATE hooks SET secrets = ? WHERE provider = ?

-- name: looked
UPDATE hooks SET hint = ?, checked_us = ?, due_us = ? WHERE provider = ?

-- name: want_look
UPDATE hooks SET due_us = ? WHERE provider = ? AND due_us > ? AND checked_us < ?

-- name: standings
SELECT provider, hint, checked_us, due_us FROM hooks ORDER BY provider

-- name: of_provider
SELECT id FROM inbox WHERE provider = ?

-- name: put_back
UPDATE OR REPLACE inbox SET body = ?, mark = ? WHERE id = ?
