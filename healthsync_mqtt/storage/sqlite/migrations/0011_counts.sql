-- Schema version 11: how many events there are of what, on each shelf, and where rows with a version are.

-- Each row of a block that is counted is in one row here, by its start (a day is one of UTC, since 1970) and its sender (0:
-- none). events: those of them that are an event with a body, and are superseded by none as far as blocks go. Blocks from
-- now on are not in shelf_user: this says as much.
CREATE TABLE shelf_count (
    shelf INTEGER NOT NULL,
    user INTEGER NOT NULL,
    type INTEGER NOT NULL,
    device INTEGER NOT NULL,
    provider INTEGER NOT NULL,
    day INTEGER NOT NULL,
    events INTEGER NOT NULL,
    PRIMARY KEY (shelf, user, type, device, provider, day)
) STRICT, WITHOUT ROWID;

-- Version 0 is what nearly all rows have: they are not here.
CREATE TABLE block_version (
    block INTEGER NOT NULL,
    version INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (block, version, seq)
) STRICT, WITHOUT ROWID;

-- Blocks of before are counted later, the newest first: those up to this row are not yet.
INSERT INTO meta (name, value) SELECT 'uncounted', coalesce(max(last_seq), 0) FROM block;
