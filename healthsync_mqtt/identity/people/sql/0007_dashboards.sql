-- registry.db, version 7: whose newest values Home Assistant is shown, and which types of them.

CREATE TABLE dashboards (
    user_id TEXT PRIMARY KEY REFERENCES users (id),
    types TEXT NOT NULL,            -- '*' (the general ones) or a sorted JSON array, in which '*' may stand
    since_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER user_removed_unshown AFTER UPDATE OF removed_us ON users WHEN NEW.removed_us IS NOT NULL BEGIN
    DELETE FROM dashboards WHERE user_id = NEW.id;
END;
