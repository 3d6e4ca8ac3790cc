-- summaries.db, version 2: for readers that follow it. Which file it is; numbers that are never given to another name;
-- and days of readings change also when only their moments do.

CREATE TABLE birth (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL
) STRICT;
INSERT INTO birth (only, id) VALUES (1, lower(hex(randomblob(8))));

CREATE TABLE names_kept (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO names_kept (no, name) SELECT no, name FROM names;
DROP TABLE names;
ALTER TABLE names_kept RENAME TO names;

-- A digest of the numbers and moments that the figures are of; 0: of another kind of type, or not known.
ALTER TABLE day ADD COLUMN moments INTEGER NOT NULL DEFAULT 0;
