-- As the first version made it, without a number: where the tables are there already this changes nothing.
CREATE TABLE IF NOT EXISTS refused (
    seq INTEGER NOT NULL, place INTEGER NOT NULL, reason TEXT NOT NULL, status INTEGER NOT NULL,
    message TEXT NOT NULL, at_us INTEGER NOT NULL, PRIMARY KEY (seq, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
    user TEXT NOT NULL, series TEXT NOT NULL, PRIMARY KEY (user, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS displaced (
    user TEXT NOT NULL, id TEXT NOT NULL, shift INTEGER NOT NULL, PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS over_budget (user TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL) STRICT;
