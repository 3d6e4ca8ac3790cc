-- What providers sent of themselves, until it is worked off. Sealed: a push holds what was measured. What has not been
-- begun is there once, however often it comes.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    mark BLOB NOT NULL,
    body BLOB NOT NULL,
    received_us INTEGER NOT NULL,
    due_us INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    begun INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX inbox_due ON inbox (provider, due_us);
CREATE UNIQUE INDEX inbox_once ON inbox (provider, mark) WHERE NOT begun;

-- What the webhooks of a provider are known by, sealed, and when that was last looked at.
CREATE TABLE hooks (
    provider TEXT PRIMARY KEY,
    secrets BLOB NOT NULL,
    hint TEXT NOT NULL DEFAULT '',
    checked_us INTEGER NOT NULL DEFAULT 0,
    due_us INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- When a provider is asked next whether it still tells us of a user.
ALTER TABLE links ADD COLUMN hooked_us INTEGER NOT NULL DEFAULT 0;
CREATE INDEX links_account ON links (provider, account);
-- Each provider has turns of its own: one that is slow keeps no other waiting.
DROP INDEX links_due;
CREATE INDEX links_due ON links (provider, due_us);
