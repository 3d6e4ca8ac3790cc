-- name: place
SELECT epoch, seq FROM place

-- name: move
INSERT INTO place (only, epoch, seq) VALUES (1, ?, ?) ON CONFLICT (only) DO UPDATE SET epoch = ?1, seq = ?2

-- name: latest
SELECT user, type, seq, opened(id, user, 'id', type, seq), at_us, received_us, opened(state, user, 'value', type, seq)
FROM latest

-- name: keep
INSERT OR REPLACE INTO latest (user, type, seq, id, at_us, received_us, state)
VALUES (?1, ?2, ?3, sealed(?4, ?1, 'id', ?2, ?3), ?5, ?6, sealed(?7, ?1, 'value', ?2, ?3))

-- name: seal_latest
UPDATE latest SET id = sealed(id, user, 'id', type, seq), state = sealed(state, user, 'value', type, seq)

-- name: forget
DELETE FROM latest WHERE user = ? AND type = ?

-- name: shown
SELECT user, type, opened(config, user, 'config', type), opened(state, user, 'state', type) FROM shown

-- name: show
INSERT OR REPLACE INTO shown (user, type, config, state)
VALUES (?1, ?2, sealed(?3, ?1, 'config', ?2), sealed(?4, ?1, 'state', ?2))

-- name: seal_shown
UPDATE shown SET config = sealed(config, user, 'config', type), state = sealed(state, user, 'state', type)

-- name: clear
DELETE FROM shown WHERE user = ? AND type = ?
