-- registry.db, version 9: which sources a user prefers where several measured the same time.

CREATE TABLE source_preferences (
    user_id TEXT PRIMARY KEY REFERENCES users (id),
    sources TEXT NOT NULL,          -- a JSON array, the best first
    since_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER user_removed_no_sources AFTER UPDATE OF removed_us ON users WHEN NEW.removed_us IS NOT NULL BEGIN
    DELETE FROM source_preferences WHERE user_id = NEW.id;
END;
