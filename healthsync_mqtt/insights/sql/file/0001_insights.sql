-- insights.db, version 1: what was found of users' days, which days have to be looked at again, and what is retained.

CREATE TABLE place (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    birth TEXT NOT NULL,            -- of the summaries.db that was followed
    change INTEGER NOT NULL,        -- through which it was
    rules TEXT NOT NULL             -- of the modules that looked
) STRICT;

-- Of whom days were looked at: what was agreed to then, and through which day.
CREATE TABLE person (
    user TEXT PRIMARY KEY,
    agreed TEXT NOT NULL,
    through INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Days that have to be looked at again.
CREATE TABLE due (
    user TEXT NOT NULL,
    day INTEGER NOT NULL,
    PRIMARY KEY (user, day)
) STRICT, WITHOUT ROWID;

-- What was found.
CREATE TABLE finding (
    user TEXT NOT NULL,
    kind TEXT NOT NULL,
    day INTEGER NOT NULL,
    subject TEXT NOT NULL,
    types TEXT NOT NULL,            -- that it rests on, as a list in JSON
    event TEXT NOT NULL,
    PRIMARY KEY (user, kind, day, subject)
) STRICT, WITHOUT ROWID;

-- Kinds of users of which anything is another, in the order in which it became so. No number is given twice.
CREATE TABLE changed (
    change INTEGER PRIMARY KEY AUTOINCREMENT,
    user TEXT NOT NULL,
    kind TEXT NOT NULL,
    UNIQUE (user, kind)
) STRICT;

-- Of what something may be retained, with the digest of what it is; none: it is not known.
CREATE TABLE shown (
    user TEXT NOT NULL,
    kind TEXT NOT NULL,
    digest BLOB,
    PRIMARY KEY (user, kind)
) STRICT, WITHOUT ROWID;
