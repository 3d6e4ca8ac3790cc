-- Which file this is: a ledger remembers it, so that another one in its place is noticed.
CREATE TABLE identity (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL) STRICT;
INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));

-- Users whose salt was deleted on purpose, by a keyed hash of the name.
CREATE TABLE forgotten (mark BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
