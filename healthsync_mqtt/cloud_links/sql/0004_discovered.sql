-- Records that a list named, and what it said of them when they were asked for by themselves.
CREATE TABLE discovered (
    link INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    mark TEXT NOT NULL,
    PRIMARY KEY (link, name)
) WITHOUT ROWID;
