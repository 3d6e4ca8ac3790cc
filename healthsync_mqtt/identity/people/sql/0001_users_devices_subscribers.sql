-- registry.db, version 1: who may connect, and what they agreed to.
-- Times are integer microseconds since the epoch (UTC); a set of names is '*' (all) or a sorted JSON array.

CREATE TABLE generation (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    value INTEGER NOT NULL          -- grows with every write; other processes poll it
) STRICT;
INSERT INTO generation (only, value) VALUES (1, 0);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    created_us INTEGER NOT NULL
) STRICT;

CREATE TABLE consents (
    no INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    types TEXT NOT NULL,
    purpose TEXT NOT NULL,
    granted_us INTEGER NOT NULL,
    recorded_by TEXT NOT NULL
) STRICT;
CREATE INDEX consents_of_user ON consents (user_id);

-- Every name that may stand in an MQTT client id. Names are never given to a second principal, so a row stays when
-- its device is removed.
CREATE TABLE principals (
    client_id TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('device', 'subscriber', 'admin'))
) STRICT;

CREATE TABLE devices (
    user_id TEXT NOT NULL REFERENCES users (id),
    device_id TEXT NOT NULL,
    client_id TEXT NOT NULL UNIQUE REFERENCES principals (client_id),
    created_us INTEGER NOT NULL,
    removed_us INTEGER,
    not_before_s INTEGER NOT NULL,  -- tokens issued before this second are void: the device was removed in between
    PRIMARY KEY (user_id, device_id)
) STRICT;

CREATE TABLE subscribers (
    name TEXT PRIMARY KEY REFERENCES principals (client_id),
    users TEXT NOT NULL,
    types TEXT NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;

CREATE TABLE admins (
    name TEXT PRIMARY KEY REFERENCES principals (client_id),
    created_us INTEGER NOT NULL
) STRICT;
