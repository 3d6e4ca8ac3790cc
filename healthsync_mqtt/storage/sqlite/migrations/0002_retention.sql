-- Schema version 2: the body of an old row can be purged. A purged row has a body of no bytes (any other has at least two)
-- and keeps everything else, so that its id stays known. New rows cost nothing more for it.

-- Rows of a type that started before this time may have been purged.
CREATE TABLE purged (
    type INTEGER PRIMARY KEY,
    before_us INTEGER NOT NULL
) STRICT;

CREATE INDEX superseded_by_seq ON superseded (by_seq);
