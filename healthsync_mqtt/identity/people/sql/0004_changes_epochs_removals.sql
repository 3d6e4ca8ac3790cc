-- registry.db, version 4: what changed, revocation that asks no clock, removals, and notes on their way to the audit log.

-- Every revocation of a principal raises its epoch. Tokens and certificates say the epoch they were issued in, and are
-- void in a later one: whatever clock they were issued by.
ALTER TABLE principals ADD COLUMN token_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE certificates ADD COLUMN token_epoch INTEGER NOT NULL DEFAULT 0;
UPDATE certificates SET token_epoch = -1 WHERE EXISTS (
    SELECT 1 FROM devices WHERE devices.client_id = certificates.client_id
    AND certificates.issued_us < devices.not_before_s * 1000000
);

ALTER TABLE users ADD COLUMN removed_us INTEGER;
-- The client id under which a code was used: it alone may ask again, for its answer may have been lost.
ALTER TABLE enrolments ADD COLUMN used_by TEXT;
ALTER TABLE subscribers ADD COLUMN suspended_us INTEGER;
ALTER TABLE subscribers ADD COLUMN removed_us INTEGER;

-- Notes that were written in the transaction of what they tell of, until the audit log has them.
CREATE TABLE audit_outbox (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL UNIQUE,    -- so that a note which the audit log has already is not written there again
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT,                   -- a pseudonym
    detail TEXT NOT NULL            -- a JSON object
) STRICT;

-- The newest row of the audit log that this file knows of: the log can lose neither it nor itself unnoticed.
CREATE TABLE audit_anchor (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    no INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;

-- What a directory in memory has to read again, in the order of the changes; the oldest ones go.
CREATE TABLE changes (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (
        kind IN ('principal', 'user', 'consent', 'token', 'enrolment', 'family', 'certificate')
    ),
    key TEXT NOT NULL
) STRICT;
CREATE TRIGGER changes_stay_few AFTER INSERT ON changes WHEN NEW.no % 1000 = 0 BEGIN
    DELETE FROM changes WHERE no <= NEW.no - 20000;
END;

CREATE TRIGGER device_added AFTER INSERT ON devices BEGIN
    INSERT INTO changes (kind, key) VALUES ('principal', NEW.client_id);
END;
CREATE TRIGGER device_changed AFTER UPDATE ON devices BEGIN
    INSERT INTO changes (kind, key) VALUES ('principal', NEW.client_id);
END;
CREATE TRIGGER subscriber_added AFTER INSERT ON subscribers BEGIN
    INSERT INTO changes (kind, key) VALUES ('principal', NEW.name);
END;
CREATE TRIGGER subscriber_changed AFTER UPDATE ON subscribers BEGIN
    INSERT INTO changes (kind, key) VALUES ('principal', NEW.name);
END;
CREATE TRIGGER admin_added AFTER INSERT ON admins BEGIN
    INSERT INTO changes (kind, key) VALUES ('principal', NEW.name);
END;
CREATE TRIGGER epoch_raised AFTER UPDATE OF token_epoch ON principals BEGIN
    INSERT INTO changes (kind, key) VALUES ('principal', NEW.client_id);
END;
CREATE TRIGGER user_changed AFTER UPDATE OF suspended_us, removed_us ON users BEGIN
    INSERT INTO changes (kind, key) VALUES ('user', NEW.id);
END;
CREATE TRIGGER consent_decided AFTER INSERT ON consent_decisions BEGIN
    INSERT INTO changes (kind, key) VALUES ('consent', NEW.user_id);
END;
CREATE TRIGGER token_revoked AFTER INSERT ON revoked_tokens BEGIN
    INSERT INTO changes (kind, key) VALUES ('token', NEW.jti);
END;
CREATE TRIGGER token_forgotten AFTER DELETE ON revoked_tokens BEGIN
    INSERT INTO changes (kind, key) VALUES ('token', OLD.jti);
END;
CREATE TRIGGER enrolment_added AFTER INSERT ON enrolments BEGIN
    INSERT INTO changes (kind, key) VALUES ('enrolment', NEW.handle);
END;
CREATE TRIGGER enrolment_used AFTER UPDATE OF used_us ON enrolments BEGIN
    INSERT INTO changes (kind, key) VALUES ('enrolment', NEW.handle);
END;
CREATE TRIGGER enrolment_gone AFTER DELETE ON enrolments BEGIN
    INSERT INTO changes (kind, key) VALUES ('enrolment', OLD.handle);
END;
CREATE TRIGGER family_begun AFTER INSERT ON refresh_families BEGIN
    INSERT INTO changes (kind, key) VALUES ('family', NEW.family);
END;
CREATE TRIGGER family_ended AFTER UPDATE OF revoked_us ON refresh_families BEGIN
    INSERT INTO changes (kind, key) VALUES ('family', NEW.family);
END;
CREATE TRIGGER certificate_issued AFTER INSERT ON certificates BEGIN
    INSERT INTO changes (kind, key) VALUES ('certificate', NEW.serial);
END;
CREATE TRIGGER certificate_revoked AFTER UPDATE OF revoked_us ON certificates BEGIN
    INSERT INTO changes (kind, key) VALUES ('certificate', NEW.serial);
END;

-- The last refused logins of each client id that somebody here has, for `device why`. Who claimed the name is not known.
CREATE TABLE refused_logins (
    client_id TEXT NOT NULL REFERENCES principals (client_id),
    reason TEXT NOT NULL,
    address TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    PRIMARY KEY (client_id, reason, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX refused_logins_by_age ON refused_logins (last_us);
