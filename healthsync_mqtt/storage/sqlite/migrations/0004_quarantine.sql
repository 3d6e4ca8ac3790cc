-- Schema version 4: the quarantine is bounded, and the same refusal again is one row with a count.

-- What makes two refusals the same; NULL in rows of before, which are never counted up.
ALTER TABLE quarantine ADD COLUMN fingerprint BLOB;

-- Bytes that were sent, and their digest where only the first of them are kept; NULL: raw is all of it.
ALTER TABLE quarantine ADD COLUMN size INTEGER;
ALTER TABLE quarantine ADD COLUMN sha256 TEXT;

-- How often it came, and when last (NULL: once, at received_us).
ALTER TABLE quarantine ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE quarantine ADD COLUMN last_us INTEGER;

CREATE INDEX quarantine_fingerprint ON quarantine (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX quarantine_device ON quarantine (user, device);
CREATE INDEX quarantine_user ON quarantine (user);
