-- A link of a user to a provider. Tokens are sealed with the user's key; the pair before is kept until the new one worked.
CREATE TABLE links (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    provider TEXT NOT NULL,
    account TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    hint TEXT NOT NULL DEFAULT '',
    until_us INTEGER NOT NULL DEFAULT 0,
    scopes TEXT NOT NULL DEFAULT '',
    zone TEXT NOT NULL DEFAULT '',
    paused INTEGER NOT NULL DEFAULT 0,
    leaving INTEGER NOT NULL DEFAULT 0,
    linked_us INTEGER NOT NULL,
    synced_us INTEGER NOT NULL DEFAULT 0,
    due_us INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    tokens BLOB,
    tokens_before BLOB,
    memory BLOB NOT NULL DEFAULT x'',
    UNIQUE (user, provider)
);
CREATE INDEX links_due ON links (due_us);

-- How far each kind of answer was fetched, and published, and committed: live from `since` on, history back to `back`.
CREATE TABLE cursors (
    link INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    since_s INTEGER NOT NULL,
    back_s INTEGER NOT NULL,
    PRIMARY KEY (link, kind)
) WITHOUT ROWID;

-- The events of records that the provider may take back, by the record's name.
CREATE TABLE named (
    link INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    start_time TEXT NOT NULL,
    PRIMARY KEY (link, event)
) WITHOUT ROWID;
CREATE INDEX named_by_name ON named (link, name);

-- Links that a user was asked to agree to: what the provider sends back is compared with it, once.
CREATE TABLE pending (
    state TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    provider TEXT NOT NULL,
    redirect TEXT NOT NULL,
    verifier BLOB NOT NULL,
    until_us INTEGER NOT NULL
) WITHOUT ROWID;

-- What commands ask the worker for, and what came of it.
CREATE TABLE asked (
    id INTEGER PRIMARY KEY,
    link INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    at_us INTEGER NOT NULL,
    answer TEXT NOT NULL DEFAULT ''
);
