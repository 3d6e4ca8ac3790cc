-- Schema version 12: what rows hold inside, roughly, so that one that holds something else is not looked for among them.

-- Of a user's rows of some blocks, where there are some; sealed with the user's key in a sealed log. Where there is none,
-- anything may be among them. user 0 stands for all rows of the blocks: in a sealed log it has no bytes, and says that the
-- other rows here leave out nobody.
CREATE TABLE block_sketch (
    block INTEGER NOT NULL,
    user INTEGER NOT NULL,
    sketch BLOB NOT NULL,
    sealed INTEGER,
    PRIMARY KEY (block, user)
) STRICT, WITHOUT ROWID;

-- Blocks have their sketches together, with the last of them (`sketched`), some thousand rows at a time; `first` is the first
-- of those rows. A block that is not here has none yet.
CREATE TABLE block_sketched (
    block INTEGER PRIMARY KEY,
    sketched INTEGER NOT NULL,
    first INTEGER NOT NULL
) STRICT;

INSERT INTO block_sketched (block, sketched, first)
SELECT last_seq, last_seq, coalesce((SELECT max(p.last_seq) FROM block AS p WHERE p.last_seq < b.last_seq), 0) + 1 FROM block AS b;

-- Blocks whose rows are looked through for that later, the newest first: those of before, and those that something was
-- taken out of.
CREATE TABLE block_unsketched (
    block INTEGER PRIMARY KEY
) STRICT;

INSERT INTO block_unsketched (block) SELECT last_seq FROM block;
