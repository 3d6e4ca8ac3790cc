-- name: place
SELECT epoch, seq FROM place

-- name: move
INSERT INTO place (only, epoch, seq) VALUES (1, ?, ?) ON CONFLICT (only) DO UPDATE SET epoch = ?1, seq = ?2

-- name: latest
SELECT user, type, seq, id, at_us, received_us, state FROM latest

-- name: keep
INSERT OR REPLACE INTO latest (user, type, seq, id, at_us, received_us, state) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: forget
DELETE FROM latest WHERE user = ? AND type = ?

-- name: shown
SELECT user, type, config, state FROM shown

-- name: show
INSERT OR REPLACE INTO shown (user, type, config, state) VALUES (?, ?, ?, ?)

-- name: clear
DELETE FROM shown WHERE user = ? AND type = ?
