-- Schema version 13: the marks of one sender's refusals lie together. By digests alone each of a thousand was on another page,
-- so that a commit that adds them, while as many older ones go, wrote all of the index.
DROP INDEX IF EXISTS quarantine_fingerprint;
CREATE INDEX quarantine_fingerprint ON quarantine (user, device, fingerprint) WHERE fingerprint IS NOT NULL;
