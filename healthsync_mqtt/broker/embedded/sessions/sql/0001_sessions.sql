-- sessions.db, version 1: what the embedded broker owes to clients that asked for a session that lasts.
-- The canonical stream is not here: it is read from the event log, by each subscriber's cursor. Nothing of QoS 0 is.
-- Times are microseconds of running time: of all runs of the service together, by a clock that only goes forward.

CREATE TABLE service (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    running_us INTEGER NOT NULL
) STRICT;
INSERT INTO service (only, running_us) VALUES (1, 0);

CREATE TABLE sessions (
    no INTEGER PRIMARY KEY,         -- never used again: a client's next session is another one
    client_id TEXT NOT NULL UNIQUE,
    principal TEXT NOT NULL,        -- JSON: role, user, device, provider, users, types
    left_us INTEGER                 -- nothing: connected
) STRICT;

CREATE TABLE filters (
    session INTEGER NOT NULL REFERENCES sessions (no) ON DELETE CASCADE,
    filter TEXT NOT NULL,
    qos INTEGER NOT NULL,
    replaying INTEGER NOT NULL,     -- 1: what is retained for it has not been sent to the end
    PRIMARY KEY (session, filter)
) STRICT, WITHOUT ROWID;

-- One row for a message that many wait for, as far as it came to them in one commit.
CREATE TABLE payloads (
    no INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE owed (
    session INTEGER NOT NULL REFERENCES sessions (no) ON DELETE CASCADE,
    no INTEGER NOT NULL,            -- the order in which the session gets them
    topic BLOB NOT NULL,
    payload INTEGER NOT NULL REFERENCES payloads (no),
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,     -- 0: not sent yet
    completing INTEGER NOT NULL,    -- 1: the client has it (QoS 2); only its PUBCOMP is missing
    PRIMARY KEY (session, no)
) STRICT;
CREATE INDEX owed_payload ON owed (payload);

-- QoS 2 messages of the client that it has not released.
CREATE TABLE unreleased (
    session INTEGER NOT NULL REFERENCES sessions (no) ON DELETE CASCADE,
    packet_id INTEGER NOT NULL,
    PRIMARY KEY (session, packet_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE retained (
    topic TEXT PRIMARY KEY,
    body BLOB NOT NULL,
    qos INTEGER NOT NULL
) STRICT;
