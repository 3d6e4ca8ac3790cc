-- Schema version 5: which processes work on a log that several share.

-- A row each, written anew every few seconds, by the server's clock. ``pid`` is the session that has the locks of what is
-- elected; ``figures`` is a JSON object of numbers. A later run for the same data directory on the same host has its row.
CREATE TABLE process (
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    host text COLLATE "C" NOT NULL,
    data text COLLATE "C" NOT NULL,
    release text NOT NULL,
    started_us bigint NOT NULL,
    seen timestamptz NOT NULL,
    pid integer NOT NULL,
    ended boolean NOT NULL,
    home boolean NOT NULL,
    figures text NOT NULL,
    PRIMARY KEY (kind, name, host, data)
);
