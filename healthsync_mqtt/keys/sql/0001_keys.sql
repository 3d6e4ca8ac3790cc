-- keys.db, version 1: wrapped data keys. A key is destroyed by deleting its row; what was there is overwritten.

CREATE TABLE ring (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- Of an owner's keys the one with the highest number seals; the others only open.
CREATE TABLE data_key (
    no INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    provider TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;

CREATE INDEX data_key_owner ON data_key (owner);

-- Ids of keys that were destroyed, which say nothing of anybody: so a key that is lost is not taken for one of those.
CREATE TABLE destroyed_key (
    id BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

INSERT INTO ring (name, value) VALUES ('id', lower(hex(randomblob(8)))), ('destroyed', 0);
