-- registry.db, version 15: consent to the purpose analysis. What a CHECK says is changed by making its table again.

CREATE TABLE decisions_of_four_purposes (
    no INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    action TEXT NOT NULL CHECK (action IN ('grant', 'withdraw')),
    purpose TEXT NOT NULL CHECK (purpose IN ('store', 'share', 'insights', 'analysis')),
    types TEXT NOT NULL,
    decided_us INTEGER NOT NULL,
    expires_us INTEGER,
    text_version TEXT,
    recorded_by TEXT NOT NULL
) STRICT;
INSERT INTO decisions_of_four_purposes
    (no, user_id, action, purpose, types, decided_us, expires_us, text_version, recorded_by)
    SELECT no, user_id, action, purpose, types, decided_us, expires_us, text_version, recorded_by
    FROM consent_decisions ORDER BY no;
DROP TABLE consent_decisions;
ALTER TABLE decisions_of_four_purposes RENAME TO consent_decisions;
CREATE INDEX consent_decisions_of_user ON consent_decisions (user_id);
CREATE TRIGGER consent_decided AFTER INSERT ON consent_decisions BEGIN
    INSERT INTO changes (kind, key) VALUES ('consent', NEW.user_id);
END;
CREATE TRIGGER consent_decisions_do_not_change BEFORE UPDATE ON consent_decisions BEGIN
    SELECT RAISE(ABORT, 'the history of consent is append-only');
END;
CREATE TRIGGER consent_decisions_stay BEFORE DELETE ON consent_decisions
WHEN NOT EXISTS (SELECT 1 FROM erasures WHERE user_id = OLD.user_id AND step = 'registry')
AND OLD.user_id <> '_erased_' BEGIN
    SELECT RAISE(ABORT, 'the history of consent is append-only');
END;
