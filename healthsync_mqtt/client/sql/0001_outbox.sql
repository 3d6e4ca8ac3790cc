-- IF NOT EXISTS: files of the first release have these tables, and no version.
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
