-- registry.db, version 12: where events of subscribers are posted to, and how far they were.

CREATE TABLE webhooks (
    name TEXT PRIMARY KEY,
    subscriber TEXT NOT NULL REFERENCES subscribers (name),
    url TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    generation INTEGER NOT NULL,    -- of its secret
    rotated_us INTEGER NOT NULL,    -- when it got that one
    epoch TEXT NOT NULL,            -- of the log in which it has a place; empty: none yet
    seq INTEGER NOT NULL,           -- through which everything was taken
    failures INTEGER NOT NULL,      -- one after the other, until now
    failing_us INTEGER,             -- since when
    due_us INTEGER NOT NULL,        -- when it is tried again
    said TEXT NOT NULL,             -- what came of the last try
    delivered_us INTEGER,           -- when something was taken last
    disabled_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE TRIGGER subscriber_removed_no_webhook AFTER UPDATE OF removed_us ON subscribers WHEN NEW.removed_us IS NOT NULL BEGIN
    DELETE FROM webhooks WHERE subscriber = NEW.name;
END;
