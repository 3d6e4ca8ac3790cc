-- name: schema
CREATE TABLE IF NOT EXISTS outbox (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    payload BLOB NOT NULL,
    acknowledged_at REAL
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (key) WHERE acknowledged_at IS NULL;
CREATE INDEX IF NOT EXISTS outbox_acknowledged ON outbox (acknowledged_at) WHERE acknowledged_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS position (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL
);

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
UPDATE outbox SET acknowledged_at = NULL WHERE acknowledged_at >= ?;
