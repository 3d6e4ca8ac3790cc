-- Access to a provider that is over here and that the provider has to be told of. It names nobody: the tokens are sealed
-- under the parting's own name, which goes with it. `erasure` is the erasure that waits for it.
CREATE TABLE partings (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    tokens BLOB NOT NULL,
    erasure TEXT NOT NULL DEFAULT '',
    due_us INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
