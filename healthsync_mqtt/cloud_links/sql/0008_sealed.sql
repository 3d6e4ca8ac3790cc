-- What is found by an account, a record or an event is found by bytes of it, which are a mark of it once the file is
-- sealed, and what these were is kept beside, sealed: see linked/opening.py.
ALTER TABLE links ADD COLUMN account_mark BLOB NOT NULL DEFAULT x'';
UPDATE links SET account_mark = CAST(account AS BLOB);
DROP INDEX links_account;
CREATE INDEX links_account ON links (provider, account_mark);

-- `stem` is how the name of the record begins, as far as its first ";": what is taken back is found by that. `said` is
-- the event's id and the name.
CREATE TABLE named_now (
    link INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    event BLOB NOT NULL,
    stem BLOB NOT NULL,
    type TEXT NOT NULL,
    start_time TEXT NOT NULL,
    said BLOB NOT NULL,
    PRIMARY KEY (link, event)
) WITHOUT ROWID;
INSERT INTO named_now
    SELECT link, CAST(event AS BLOB), CAST(CASE WHEN instr(name, ';') THEN substr(name, 1, instr(name, ';')) ELSE name END AS BLOB),
        type, start_time, CAST(json_array(event, name) AS BLOB) FROM named;
DROP TABLE named;
ALTER TABLE named_now RENAME TO named;
CREATE INDEX named_by_stem ON named (link, stem);

CREATE TABLE discovered_now (
    link INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    name BLOB NOT NULL,
    mark TEXT NOT NULL,
    PRIMARY KEY (link, name)
) WITHOUT ROWID;
INSERT INTO discovered_now SELECT link, CAST(name AS BLOB), mark FROM discovered;
DROP TABLE discovered;
ALTER TABLE discovered_now RENAME TO discovered;

CREATE TABLE shelved_now (
    link INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    name BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (link, name)
);
INSERT INTO shelved_now SELECT link, CAST(name AS BLOB), body FROM shelved;
DROP TABLE shelved;
ALTER TABLE shelved_now RENAME TO shelved;

CREATE TABLE pending_now (
    state BLOB PRIMARY KEY,
    user TEXT NOT NULL,
    provider TEXT NOT NULL,
    redirect TEXT NOT NULL,
    verifier BLOB NOT NULL,
    until_us INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO pending_now SELECT CAST(state AS BLOB), user, provider, redirect, verifier, until_us FROM pending;
DROP TABLE pending;
ALTER TABLE pending_now RENAME TO pending;
