-- Schema version 3: the events of a user are numbered for themselves, so that what a user sees tells nothing of others.

-- The row's place among its user's rows, counting up without gaps from the user's first. NULL in rows of before: their
-- position is the seq that was told to everybody then.
ALTER TABLE log ADD COLUMN position INTEGER;

-- The last position of each user.
CREATE TABLE positions (
    user INTEGER PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;

-- Receipts of before named the head of the log: those users go on from there, so that no device takes this for an older log.
INSERT INTO positions (user, last)
SELECT user, (SELECT coalesce(max(seq), 0) FROM log) FROM known_user
UNION
SELECT user, (SELECT coalesce(max(seq), 0) FROM log) FROM log
WHERE seq > (SELECT coalesce(max(last_seq), 0) FROM block);
