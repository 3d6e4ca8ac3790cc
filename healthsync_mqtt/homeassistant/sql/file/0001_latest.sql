-- homeassistant.db, version 1: the newest values as far as the log was read, and what a broker may have retained of them.

CREATE TABLE place (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    epoch TEXT NOT NULL,            -- of the log that was read
    seq INTEGER NOT NULL            -- through which it was read
) STRICT;

CREATE TABLE latest (
    user TEXT NOT NULL,
    type TEXT NOT NULL,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    received_us INTEGER NOT NULL,
    state BLOB NOT NULL,            -- empty: there is no such event
    PRIMARY KEY (user, type)
) STRICT, WITHOUT ROWID;

-- A topic is here before anything is retained on it, and until it was seen to be empty.
CREATE TABLE shown (
    user TEXT NOT NULL,
    type TEXT NOT NULL,
    config BLOB,                    -- digests of what was acknowledged; none: not known
    state BLOB,
    PRIMARY KEY (user, type)
) STRICT, WITHOUT ROWID;
