-- registry.db, version 11: people: one-time links, the sessions that they open, and whom users let see their data.

CREATE TABLE invites (
    digest TEXT PRIMARY KEY,        -- of the code
    role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
    holder TEXT NOT NULL,           -- a user or an admin
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    used_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
    holder TEXT NOT NULL,
    seed TEXT NOT NULL,             -- what its tokens are made of, with a secret that is not in this file
    created_us INTEGER NOT NULL,
    generation INTEGER NOT NULL,    -- of its tokens: each refresh makes the next one
    renewed_us INTEGER NOT NULL,
    ended_us INTEGER,
    ended_for TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE carers (
    user_id TEXT NOT NULL REFERENCES users (id),
    carer_id TEXT NOT NULL REFERENCES users (id),
    types TEXT NOT NULL,            -- '*' (the general ones) or a sorted JSON array, in which '*' may stand
    granted_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    PRIMARY KEY (user_id, carer_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER user_removed_nobody_comes AFTER UPDATE OF removed_us ON users WHEN NEW.removed_us IS NOT NULL BEGIN
    UPDATE sessions SET ended_us = NEW.removed_us, ended_for = 'user removed'
    WHERE role = 'user' AND holder = NEW.id AND ended_us IS NULL;
    DELETE FROM invites WHERE role = 'user' AND holder = NEW.id;
    DELETE FROM carers WHERE user_id = NEW.id OR carer_id = NEW.id;
END;
CREATE TRIGGER user_suspended_nobody_comes AFTER UPDATE OF suspended_us ON users WHEN NEW.suspended_us IS NOT NULL BEGIN
    UPDATE sessions SET ended_us = NEW.suspended_us, ended_for = 'user suspended'
    WHERE role = 'user' AND holder = NEW.id AND ended_us IS NULL;
    DELETE FROM invites WHERE role = 'user' AND holder = NEW.id;
END;
