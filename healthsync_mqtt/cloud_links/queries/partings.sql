-- name: users
SELECT user FROM links WHERE NOT leaving UNION SELECT user FROM pending

-- name: ending
SELECT provider, tokens FROM links WHERE user = ? AND (NOT leaving OR tokens IS NOT NULL)

-- name: end_links
UPDATE links SET leaving = 1 WHERE user = ?

-- name: parted
UPDATE links SET tokens = NULL, tokens_before = NULL WHERE user = ? AND provider = ?

-- name: end_pending
DELETE FROM pending WHERE user = ?

-- name: leaving
SELECT user, provider, tokens, account, account_mark FROM links WHERE id = ? AND leaving

-- name: forget_link
DELETE FROM links WHERE id = ?

-- name: links_of
SELECT id FROM links WHERE user = ?

-- name: accounts_of
SELECT provider, account, account_mark FROM links WHERE user = ?

-- name: forget_links
DELETE FROM links WHERE user = ?

-- name: linked_to
SELECT count(*) FROM links WHERE provider = ? AND account_mark = ?

-- name: add_parting
INSERT INTO partings (id, provider, tokens, erasure) VALUES (?, ?, ?, ?)

-- name: partings
SELECT id, provider, failures FROM partings WHERE ?1 IS NULL OR erasure = ?1 ORDER BY id

-- name: due
SELECT id, provider, failures FROM partings WHERE due_us <= ? ORDER BY due_us LIMIT 16

-- name: tokens
SELECT tokens FROM partings WHERE id = ?

-- name: keep_tokens
UPDATE partings SET tokens = ? WHERE id = ?

-- name: later
UPDATE partings SET due_us = ?, failures = failures + 1 WHERE id = ?

-- name: over
DELETE FROM partings WHERE id = ?
