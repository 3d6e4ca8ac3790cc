-- Schema version 8: whose rows there are in a long stretch of the log, and of which types.

-- A shelf is the blocks whose last row lies in one stretch of 524,288 rows. With one look into each shelf a user's rows
-- are found among those of everybody else; only on shelves that have some, blocks are looked into.
CREATE TABLE shelf_user (
    shelf INTEGER NOT NULL,
    user INTEGER NOT NULL,
    type INTEGER NOT NULL,
    PRIMARY KEY (shelf, user, type)
) STRICT, WITHOUT ROWID;

-- Blocks of before are put on their shelves later, the newest first: those up to this row are not there yet.
INSERT INTO meta (name, value) SELECT 'unshelved', coalesce(max(last_seq), 0) FROM block;
