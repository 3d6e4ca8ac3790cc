-- registry.db, version 8: devices whose login is a password without an end, for apps that know nothing else.

CREATE TABLE apps (
    client_id TEXT PRIMARY KEY REFERENCES principals (client_id),
    formats TEXT NOT NULL,          -- a JSON list: in which payload formats it may send
    zone TEXT,                      -- declared for all its messages, because they do not say it
    unit TEXT,
    bucket_s INTEGER,
    slot TEXT,
    secret TEXT NOT NULL,           -- scrypt of the password, with its parameters and salt
    created_us INTEGER NOT NULL,
    rotated_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER app_added AFTER INSERT ON apps BEGIN
    INSERT INTO changes (kind, key) VALUES ('principal', NEW.client_id);
END;
CREATE TRIGGER app_changed AFTER UPDATE ON apps BEGIN
    INSERT INTO changes (kind, key) VALUES ('principal', NEW.client_id);
END;
CREATE TRIGGER app_gone AFTER DELETE ON apps BEGIN
    INSERT INTO changes (kind, key) VALUES ('principal', OLD.client_id);
END;
CREATE TRIGGER device_removed_no_app AFTER UPDATE OF removed_us ON devices WHEN NEW.removed_us IS NOT NULL BEGIN
    DELETE FROM apps WHERE client_id = NEW.client_id;
END;
