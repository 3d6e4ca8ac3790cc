-- The event log, schema version 1.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- Users, devices, providers and event types as small integers.
CREATE TABLE names (
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Append-only; seq counts up without gaps. user, device, provider and type are numbers of names: no foreign keys,
-- because a check per row costs as much as the insert. identity is the keyed hash of (user, id), or the next free number
-- after it, so that the identity index can be built, rebuilt and merged by SQL alone.
CREATE TABLE log (
    seq INTEGER PRIMARY KEY,
    identity INTEGER NOT NULL,
    user INTEGER NOT NULL,
    device INTEGER,
    provider INTEGER,
    type INTEGER NOT NULL,
    version INTEGER NOT NULL,
    op INTEGER NOT NULL,
    start_us INTEGER NOT NULL,
    end_us INTEGER,
    received_us INTEGER NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE superseded (
    seq INTEGER PRIMARY KEY,
    by_seq INTEGER NOT NULL
) STRICT;

CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    reason TEXT NOT NULL,
    field TEXT,
    message TEXT NOT NULL,
    user TEXT NOT NULL,
    device TEXT,
    provider TEXT,
    topic TEXT NOT NULL,
    received_us INTEGER NOT NULL,
    event_id TEXT,
    raw BLOB NOT NULL
) STRICT;

-- The indexes below cover the log block by block; the rows after the last block are few and are scanned.
-- Each block is added in one sorted piece: an insert into one big index would touch a page per event.
CREATE TABLE block (
    last_seq INTEGER PRIMARY KEY
) STRICT;

-- Rows of a user are found with one look into each block: 20 million rows are about 2,400 blocks.
CREATE TABLE block_user (
    block INTEGER NOT NULL,
    user INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (block, user, seq)
) STRICT, WITHOUT ROWID;

-- Every user with a row in a block.
CREATE TABLE known_user (
    user INTEGER PRIMARY KEY
) STRICT;

-- An identity is in one or more runs, with the newest row that the run covers. A block starts as a run; runs are merged step by
-- step into larger ones, because each is a place to look for an identity.
CREATE TABLE identity_run (
    run INTEGER PRIMARY KEY,
    level INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    -- The run that this one is being merged into.
    target INTEGER,
    -- On a target: identities below this have been moved into it; NULL when all have.
    merged_below INTEGER
) STRICT;

CREATE TABLE identity (
    run INTEGER NOT NULL,
    identity INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (run, identity)
) STRICT, WITHOUT ROWID;

-- Snapshots of the in-memory filter that answers "this identity is in no run" without a look at the disk.
-- It holds every identity of the rows first_seq..through, and may hold more.
CREATE TABLE identity_filter (
    generation INTEGER PRIMARY KEY,
    bits_log2 INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    through INTEGER NOT NULL
) STRICT;

CREATE TABLE identity_filter_part (
    generation INTEGER NOT NULL,
    part INTEGER NOT NULL,
    bits BLOB NOT NULL,
    PRIMARY KEY (generation, part)
) STRICT;

INSERT INTO meta (name, value) VALUES
    ('epoch', lower(hex(randomblob(8)))),
    ('identity_secret', randomblob(16)),
    ('writer', 0);
