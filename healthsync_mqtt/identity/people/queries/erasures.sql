-- name: open
SELECT id, user_id, step, requested_us FROM erasures WHERE step <> 'done' ORDER BY requested_us, id

-- name: of_user
SELECT id, user_id, step, requested_us FROM erasures WHERE user_id = ?

-- name: erased_among
SELECT value FROM json_each(?)
WHERE value NOT IN (SELECT id FROM users) OR value IN (SELECT user_id FROM erasures WHERE user_id IS NOT NULL)

-- name: erased_clients
SELECT value FROM json_each(?) WHERE value NOT IN (SELECT client_id FROM principals)

-- name: one
SELECT id, user_id, step, requested_us FROM erasures WHERE id = ?

-- name: done
SELECT id FROM erasures WHERE step = 'done' ORDER BY id

-- name: clients
SELECT client_id FROM devices WHERE user_id = ? ORDER BY client_id

-- name: errands
SELECT erasure, place, subject FROM errands ORDER BY erasure, place

-- name: errands_of
SELECT place FROM errands WHERE erasure = ? ORDER BY place

-- name: key
SELECT key FROM erasure_key

-- name: epoch_of
SELECT token_epoch FROM principals WHERE client_id = ?

-- name: erased_epoch
SELECT token_epoch FROM erased_names WHERE mark = ?

-- name: newest_decision
SELECT COALESCE(MAX(no), 0) AS no FROM consent_decisions

-- name: subscribers_of
SELECT name, users FROM subscribers WHERE users <> '*'

-- name: void_certificates
UPDATE certificates SET client_id = NULL, revoked_us = COALESCE(revoked_us, ?2), revoked_for = 'erased' WHERE client_id = ?1

-- name: every_user
SELECT id, created_us FROM users WHERE id <> '_erased_'

-- name: mark_decision
INSERT INTO consent_decisions (no, user_id, action, purpose, types, decided_us, recorded_by)
VALUES (?, '_erased_', 'withdraw', 'store', '*', ?, 'erasure')
