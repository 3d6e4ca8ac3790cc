-- part: link
id, user, provider, state, hint, until_us, scopes, paused, linked_us, synced_us, due_us, failures,
orders

-- name: providers
-- One step in the index for each, however many rows it has.
WITH RECURSIVE each (name) AS (
    SELECT min(provider) FROM links
    UNION ALL
    SELECT (SELECT min(provider) FROM links WHERE provider > each.name) FROM each WHERE each.name IS NOT NULL
)
SELECT name FROM each WHERE name IS NOT NULL

-- name: move_cursor
INSERT INTO cursors (link, kind, since_s, back_s) VALUES (?, ?, ?, ?) ON CONFLICT (link, kind) DO UPDATE
SET since_s = excluded.since_s, back_s = excluded.back_s

-- name: move_cursor_late
-- By who is late: how far it is now, and nothing of how far back.
INSERT INTO cursors (link, kind, since_s, back_s) SELECT id, ?2, ?3, ?3 FROM links WHERE id = ?1 AND linked_us = ?4
ON CONFLICT (link, kind) DO UPDATE SET since_s = excluded.since_s

-- name: note
INSERT OR REPLACE INTO named (link, event, stem, type, start_time, said)
SELECT id, marked(?2, user), marked(?3, user), ?4, ?5,
sealed(?6, user, 'named', id, marked(?2, user), marked(?3, user)) FROM links WHERE id = ?1

-- name: named
SELECT user, event, stem, type, start_time, said FROM links JOIN named ON link = id WHERE id = ?1 AND ?2 IS NULL

-- name: named_by_stem
SELECT user, event, stem, type, start_time, said FROM links JOIN named ON link = id
WHERE id = ?1 AND stem = marked(?2, user)

-- name: forget
DELETE FROM named WHERE link = ?1 AND event = marked(?2, (SELECT user FROM links WHERE id = ?1))

-- name: discovered
SELECT opened(mark, user, 'discovered', link, name) FROM links JOIN discovered ON link = id
WHERE id = ?1 AND name = marked(?2, user)

-- name: discover
INSERT OR REPLACE INTO discovered SELECT id, marked(?2, user), sealed(?3, user, 'discovered', id, marked(?2, user))
FROM links WHERE id = ?1

-- name: links
SELECT {link} FROM links WHERE (?1 IS NULL OR user = ?1) AND NOT leaving ORDER BY user, provider

-- name: link
SELECT {link} FROM links WHERE id = ?

-- name: of_account
SELECT {link} FROM links WHERE provider = ? AND account_mark = marked(?, '') AND NOT leaving

-- name: account
SELECT opened(account, user, 'account', provider) FROM links WHERE id = ?

-- name: zone
SELECT opened(zone, user, 'zone', provider) FROM links WHERE id = ?

-- name: is_in_zone
UPDATE links SET zone = sealed(?1, user, 'zone', provider) WHERE id = ?2 AND orders = ?3

-- name: of
SELECT {link} FROM links WHERE user = ? AND provider = ? AND NOT leaving

-- name: due
SELECT {link} FROM links WHERE provider = ? AND due_us <= ? AND NOT paused AND NOT leaving AND state != 'needs_reauth'
ORDER BY due_us LIMIT ?

-- name: unknown_account
SELECT 1 FROM links WHERE provider = ? AND account_mark = x'' AND NOT leaving LIMIT 1

-- name: unhooked
SELECT {link} FROM links WHERE provider = ? AND hooked_us <= ? AND NOT paused AND NOT leaving
AND state != 'needs_reauth' AND synced_us > 0 LIMIT ?

-- name: hooked
UPDATE links SET hooked_us = ? WHERE id = ? AND orders = ?

-- name: agree
INSERT INTO links (user, provider, state, linked_us, orders) VALUES (?1, ?2, 'ok', ?3, ?3)
ON CONFLICT (user, provider) DO UPDATE SET state = 'ok', hint = '', failures = 0, leaving = 0, orders = orders + 1

-- name: agreed
UPDATE links SET account =
sealed(?1, user, 'account', provider), account_mark = marked(?1, ''), zone = '', scopes = ?2, due_us = 0, hooked_us = 0,
until_us = ?3, tokens = ?4, tokens_before = NULL WHERE id = ?5

-- name: leave
UPDATE links SET leaving = 1, tokens = NULL, tokens_before = NULL WHERE id = ?

-- name: leaving
SELECT {link} FROM links WHERE leaving

-- name: stands
SELECT 1 FROM links WHERE id = ? AND NOT leaving

-- name: is_leaving
SELECT 1 FROM links WHERE id = ? AND leaving

-- name: make_due
UPDATE links SET due_us = 0 WHERE id = ?

-- name: happened
UPDATE links SET state = ?, hint = ?, due_us = CASE WHEN ? > 0 THEN ? ELSE due_us END, failures = ?,
synced_us = CASE WHEN ? > 0 THEN ? ELSE synced_us END WHERE id = ?

-- name: pause
UPDATE links SET paused = ?, due_us = 0, orders = orders + 1 WHERE id = ?

-- name: is_paused
SELECT paused FROM links WHERE id = ? AND NOT leaving

-- name: deepen_cursors
UPDATE cursors SET back_s = since_s WHERE link = ?

-- name: fetch_anew
UPDATE links SET due_us = 0, orders = orders + 1 WHERE id = ?

-- name: keep_tokens
UPDATE links SET tokens_before = tokens, tokens = ?, until_us = ? WHERE id = ?

-- name: worked
UPDATE links SET tokens_before = NULL WHERE id = ? AND tokens_before IS NOT NULL

-- name: cursor
SELECT since_s, back_s FROM cursors WHERE link = ? AND kind = ?

-- name: memory
SELECT opened(memory, user, 'memory', provider) FROM links WHERE id = ?

-- name: advance_memory
UPDATE links SET memory = sealed(?, user, 'memory', provider) WHERE id = ? AND linked_us = ?

-- name: orders
SELECT orders FROM links WHERE id = ?

-- name: is_account
UPDATE links SET account = sealed(?1, user, 'account', provider), account_mark = marked(?1, '')
WHERE id = ?2 AND orders = ?3

-- name: remember
UPDATE links SET memory = sealed(?, user, 'memory', provider) WHERE id = ?

-- name: shelved
SELECT body FROM shelved WHERE link = ? AND name = marked(?, ?)

-- name: shelve
INSERT OR REPLACE INTO shelved VALUES (?, marked(?, ?), ?)

-- name: unshelve
DELETE FROM shelved WHERE link = ? AND name = marked(?, ?)

-- name: expire_pending
DELETE FROM pending WHERE until_us < ?

-- name: expect
INSERT INTO pending VALUES (marked(?, ''), ?, ?, ?, ?, ?)

-- name: expected
DELETE FROM pending WHERE state = marked(?, '') RETURNING user, provider, redirect, verifier, until_us

-- name: ask
INSERT INTO asked (link, at_us) VALUES (?, ?) RETURNING id

-- name: asked
SELECT id, link FROM asked WHERE answer = '' ORDER BY id

-- name: answer
UPDATE asked SET answer = ? WHERE id = ?

-- name: forget_answered
DELETE FROM asked WHERE answer != '' AND id < ?

-- name: answered
SELECT answer FROM asked WHERE id = ?

-- name: set_back_links
-- :longest is the latest that anything is due: what is later was so by a clock that was ahead.
UPDATE links SET due_us = CASE WHEN due_us - :by > :longest THEN :now ELSE max(due_us - :by, :now) END
WHERE due_us > :now AND (:by > 0 OR due_us > :longest)

-- name: set_back_hooked
UPDATE links SET hooked_us = CASE WHEN hooked_us - :by > :longest THEN :now ELSE max(hooked_us - :by, :now) END
WHERE hooked_us > :now AND (:by > 0 OR hooked_us > :longest)

-- name: set_back_hooks
UPDATE hooks SET due_us = CASE WHEN due_us - :by > :longest THEN :now ELSE max(due_us - :by, :now) END
WHERE due_us > :now AND (:by > 0 OR due_us > :longest)

-- name: set_back_inbox
UPDATE inbox SET due_us = CASE WHEN due_us - :by > :longest THEN :now ELSE max(due_us - :by, :now) END
WHERE due_us > :now AND (:by > 0 OR due_us > :longest)

-- name: set_back_partings
UPDATE partings SET due_us = CASE WHEN due_us - :by > :longest THEN :now ELSE max(due_us - :by, :now) END
WHERE due_us > :now AND (:by > 0 OR due_us > :longest)

-- name: tokens
SELECT tokens FROM links WHERE id = ?

-- name: tokens_before
SELECT tokens_before FROM links WHERE id = ?
