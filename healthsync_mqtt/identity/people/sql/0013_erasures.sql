-- registry.db, version 13: people who are erased, step by step, and what places outside still have to confirm.

CREATE TABLE erasures (
    id TEXT PRIMARY KEY,            -- random; the ledger knows the person by it
    user_id TEXT,                   -- none once the name is forgotten
    step TEXT NOT NULL,
    requested_us INTEGER NOT NULL,
    done_us INTEGER
) STRICT;

CREATE TABLE errands (
    erasure TEXT NOT NULL REFERENCES erasures (id),
    place TEXT NOT NULL,            -- "sink:NAME"
    subject TEXT NOT NULL,          -- what the place calls the person
    PRIMARY KEY (erasure, place)
) STRICT, WITHOUT ROWID;

-- Names that were given once are not given again: a keyed hash of each, and the epoch that its tokens must reach.
CREATE TABLE erased_names (
    mark TEXT PRIMARY KEY,
    token_epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE erasure_key (only INTEGER PRIMARY KEY CHECK (only = 1), key BLOB NOT NULL) STRICT;
INSERT INTO erasure_key (only, key) VALUES (1, randomblob(32));

-- The history of consent goes with a person who is erased, and only then.
DROP TRIGGER consent_decisions_stay;
CREATE TRIGGER consent_decisions_stay BEFORE DELETE ON consent_decisions
WHEN NOT EXISTS (SELECT 1 FROM erasures WHERE user_id = OLD.user_id AND step = 'registry')
AND OLD.user_id <> '_erased_' BEGIN
    SELECT RAISE(ABORT, 'the history of consent is append-only');
END;

-- Decisions are numbered, and who follows them must not see a number twice: this one stands for the last that went.
INSERT INTO users (id, created_us, removed_us) VALUES ('_erased_', 0, 0);
