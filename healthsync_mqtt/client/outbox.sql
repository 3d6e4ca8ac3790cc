-- name: put
INSERT INTO outbox (id, payload) VALUES (?, ?);

-- name: pending
SELECT key, id, payload FROM outbox WHERE acknowledged_at IS NULL AND key > ? ORDER BY key LIMIT ?;

-- name: waiting
SELECT count(*) FROM outbox WHERE acknowledged_at IS NULL;

-- name: acknowledge
UPDATE outbox SET acknowledged_at = ? WHERE key = ? AND acknowledged_at IS NULL;

-- name: prune
DELETE FROM outbox WHERE acknowledged_at < ?;

-- name: discard
DELETE FROM outbox WHERE key = ? AND acknowledged_at IS NULL;

-- name: position
SELECT epoch, seq FROM position;

-- name: set_position
INSERT INTO position (one, epoch, seq) VALUES (1, ?, ?)
ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq;

-- name: rewind
UPDATE outbox SET acknowledged_at = NULL WHERE acknowledged_at IS NOT NULL;

-- name: kept_time
SELECT now, clock FROM kept_time;

-- name: set_kept_time
INSERT INTO kept_time (one, now, clock) VALUES (1, ?, ?)
ON CONFLICT (one) DO UPDATE SET now = excluded.now, clock = excluded.clock;
