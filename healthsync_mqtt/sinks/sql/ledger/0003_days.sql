-- How far the changes of summaries.db have arrived, and which points of days the bucket has, with the names of their fields.
CREATE TABLE days (one INTEGER PRIMARY KEY CHECK (one = 1), change INTEGER NOT NULL) STRICT;
INSERT INTO days VALUES (1, 0);

CREATE TABLE day_point (
    series TEXT NOT NULL, day INTEGER NOT NULL, names TEXT NOT NULL, PRIMARY KEY (series, day)
) STRICT, WITHOUT ROWID;
