-- Schema version 4: what rows hold inside, roughly, so that one that holds something else is not looked for among them.

-- A block is 16,384 rows: those after block * 16384. Of a user's rows of it, where there are some; sealed with the user's
-- key in a sealed log. Where there is none, anything may be among them. username '' stands for all rows of the block: in
-- a sealed log it has no bytes, and says that the other rows here leave out nobody.
CREATE TABLE sketch (
    block bigint NOT NULL,
    username text COLLATE "C" NOT NULL,
    sketch bytea NOT NULL,
    sealed smallint,
    PRIMARY KEY (block, username)
);

CREATE INDEX sketch_user ON sketch (username, block);

-- Blocks whose rows are looked through for that later, the newest first: those of before, those that several bridges have
-- written, and those that something was taken out of. Whoever looks through one begins anew when ``times`` has changed.
CREATE TABLE unsketched (
    block bigint PRIMARY KEY,
    times bigint NOT NULL DEFAULT 0
);

INSERT INTO unsketched (block) SELECT generate_series(0, (SELECT seq FROM head WHERE one) / 16384 - 1);
