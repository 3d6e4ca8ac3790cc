-- Schema version 1: the event log. Texts are compared by their bytes, so that no library of the server's system, which
-- may change with an upgrade, decides about the order of an index.

CREATE TABLE meta (
    name text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

-- The names that the log has had, the last one is its name: a bridge that knew it under an older one comes to the same log.
CREATE TABLE epoch (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    epoch text COLLATE "C" NOT NULL UNIQUE
);

-- One row. A group's transaction locks it first and moves it last, so seq counts up without gaps in the order of commits,
-- whichever bridge writes.
CREATE TABLE head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

INSERT INTO head DEFAULT VALUES;

CREATE TABLE log (
    seq bigint PRIMARY KEY,
    position bigint NOT NULL,
    start_us bigint NOT NULL,
    end_us bigint,
    received_us bigint NOT NULL,
    version bigint NOT NULL,
    op smallint NOT NULL,
    -- How the row is stored; NULL: as it is.
    sealed smallint,
    identity bytea NOT NULL,
    username text COLLATE "C" NOT NULL,
    device text COLLATE "C",
    provider text COLLATE "C",
    type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    body bytea NOT NULL
);

CREATE INDEX log_user ON log (username, seq);

-- The latest row of each (user, id), by a keyed digest of both.
CREATE TABLE identity (
    identity bytea PRIMARY KEY,
    seq bigint NOT NULL,
    rank bigint NOT NULL
);

CREATE TABLE superseded (
    seq bigint PRIMARY KEY,
    by_seq bigint NOT NULL
);

CREATE INDEX superseded_by ON superseded (by_seq);

-- Whoever has rows, the position of the last of them, and the types that there were.
CREATE TABLE person (
    username text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    types text[] COLLATE "C" NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE cursor (
    name text COLLATE "C" PRIMARY KEY,
    seq bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE purged (
    type text COLLATE "C" PRIMARY KEY,
    before_us bigint NOT NULL
);

-- What senders wrote may be no text of this database: it is kept as bytes.
CREATE TABLE quarantine (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason text NOT NULL,
    field bytea,
    message bytea NOT NULL,
    username text COLLATE "C" NOT NULL,
    device text COLLATE "C",
    provider text COLLATE "C",
    topic bytea NOT NULL,
    received_us bigint NOT NULL,
    event_id bytea,
    raw bytea NOT NULL,
    size bigint NOT NULL,
    sha256 text,
    times bigint NOT NULL,
    last_us bigint NOT NULL,
    due_us bigint,
    form text NOT NULL,
    fingerprint bytea NOT NULL UNIQUE
);

CREATE INDEX quarantine_sender ON quarantine (username, device, no);
CREATE INDEX quarantine_due ON quarantine (due_us, no) WHERE due_us IS NOT NULL;

-- What each sender has in the quarantine, in bytes as quotas count them. No device: "".
CREATE TABLE quarantine_held (
    username text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (username, device)
);

CREATE TABLE format_state (
    username text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    form text COLLATE "C" NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (username, device, form)
);

CREATE TABLE format_record (
    username text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    form text COLLATE "C" NOT NULL,
    name bytea NOT NULL,
    id bytea NOT NULL,
    PRIMARY KEY (username, device, form, name, id)
);
