-- registry.db, version 14: passkeys of people, and which challenges have been answered.

CREATE TABLE passkeys (
    id TEXT PRIMARY KEY,            -- of the credential, as the authenticator chose it: base64url
    role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
    holder TEXT NOT NULL,           -- a user or an admin
    handle TEXT NOT NULL,           -- what authenticators know the holder by: random, and no name
    name TEXT NOT NULL,
    public_key BLOB NOT NULL,       -- COSE
    sign_count INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    used_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX passkeys_of ON passkeys (role, holder);
CREATE TABLE answered_challenges (
    digest TEXT PRIMARY KEY,
    expires_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER user_removed_no_passkey AFTER UPDATE OF removed_us ON users WHEN NEW.removed_us IS NOT NULL BEGIN
    DELETE FROM passkeys WHERE role = 'user' AND holder = NEW.id;
END;
