-- Schema version 7: what payload formats remember of a device, and what sources call the records that they may take back.

CREATE TABLE format_state (
    user INTEGER NOT NULL,
    device INTEGER NOT NULL,
    form INTEGER NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (user, device, form)
) STRICT, WITHOUT ROWID;

CREATE TABLE format_record (
    user INTEGER NOT NULL,
    device INTEGER NOT NULL,
    form INTEGER NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (user, device, form, name, id)
) STRICT, WITHOUT ROWID;
