-- audit.db: one row an action. Each row holds the digest of the one before it, so that none can be taken out or changed.
CREATE TABLE IF NOT EXISTS audit (
    no INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT,                   -- a pseudonym
    detail TEXT NOT NULL,           -- a JSON object, keys sorted
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS audit_of_subject ON audit (subject, no);
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER IF NOT EXISTS audit_does_not_change BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
