-- Schema version 3: how many events there are of what, for each 524,288 rows of the log, and where rows with a version are.

-- The rows up to this one are counted.
ALTER TABLE head ADD COLUMN counted bigint NOT NULL DEFAULT 0;

-- Each row that is counted is in one row here, by its start (a day is one of UTC, since 1970) and its sender ('': none).
-- events: those of them that are an event with a body, and are superseded by none that is counted.
CREATE TABLE counted (
    shelf bigint NOT NULL,
    username text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    day bigint NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (shelf, username, type, device, provider, day)
) WITH (fillfactor = 70);

CREATE INDEX log_version ON log (version, seq) WHERE version <> 0;
