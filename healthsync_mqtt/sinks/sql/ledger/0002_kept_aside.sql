-- When a refused line is tried again: 0 = by a backfill only.
ALTER TABLE refused ADD COLUMN due_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE refused ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;

-- Points that must go and that the server would not delete; seq is the row that demands it.
CREATE TABLE owed (
    series TEXT NOT NULL, time_ns INTEGER NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL,
    due_us INTEGER NOT NULL, tries INTEGER NOT NULL, PRIMARY KEY (series, time_ns)
) STRICT, WITHOUT ROWID;
CREATE INDEX owed_due ON owed (due_us);

-- 1: this source has a series of its own; 0: it shares the user's. Decided once, for ever, so that a point is found
-- again whatever the budget becomes.
ALTER TABLE series ADD COLUMN own INTEGER NOT NULL DEFAULT 1;

-- Up to this row, providers that joined the closed set later are no tag: their points are in the bucket without it.
CREATE TABLE adopted (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL) STRICT;
INSERT INTO adopted
    SELECT 1, COALESCE((SELECT json_extract(json, '$.cursor') + json_extract(json, '$.lag') + 10000 FROM state), 0);

-- The pseudonyms that this bucket was written with.
CREATE TABLE pseudonyms (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL) STRICT;
