-- summaries.db, version 1: what events add to days, which days have to be worked out again, and what days came to.

CREATE TABLE place (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    epoch TEXT NOT NULL,            -- of the log that was read
    seq INTEGER NOT NULL            -- through which it was read
) STRICT;

-- Users, types and sources as small integers.
CREATE TABLE names (
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What is known of a user: how far its clocks were from UTC, what was agreed to, and which sources are preferred.
CREATE TABLE person (
    user INTEGER PRIMARY KEY,
    low_us INTEGER NOT NULL,
    high_us INTEGER NOT NULL,
    agreed TEXT NOT NULL,
    preferred TEXT NOT NULL
) STRICT;

-- What one event adds. bucket: the day in UTC. An amount that lasts over days is in each of them, samples each in their own.
CREATE TABLE part (
    user INTEGER NOT NULL,
    type INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    seq INTEGER NOT NULL,           -- of the row in the log
    id TEXT NOT NULL,
    source INTEGER NOT NULL,
    worn INTEGER NOT NULL,
    offset_us INTEGER,              -- none: the event does not say
    start_us INTEGER NOT NULL,
    end_us INTEGER,
    received_us INTEGER NOT NULL,
    numbers BLOB NOT NULL,
    PRIMARY KEY (user, type, bucket, seq)
) STRICT, WITHOUT ROWID;

-- Days that have to be worked out again.
CREATE TABLE touched (
    user INTEGER NOT NULL,
    type INTEGER NOT NULL,
    day INTEGER NOT NULL,
    PRIMARY KEY (user, type, day)
) STRICT, WITHOUT ROWID;

-- What a type came to on a day. change counts up over all days, so that readers find what is new.
CREATE TABLE day (
    user INTEGER NOT NULL,
    day INTEGER NOT NULL,
    type INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    offset_us INTEGER,
    figures BLOB NOT NULL,          -- empty: it came to something once, and does no more
    change INTEGER NOT NULL,
    PRIMARY KEY (user, day, type)
) STRICT, WITHOUT ROWID;
CREATE INDEX day_change ON day (change);

-- Users of whom something may be retained, with the digest of what it is; none: it is not known.
CREATE TABLE shown (
    user INTEGER PRIMARY KEY,
    digest BLOB
) STRICT;
