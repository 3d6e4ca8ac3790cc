-- registry.db, version 2: consent by type and purpose, suspension and revocation, enrolment and refresh tokens.

ALTER TABLE users ADD COLUMN suspended_us INTEGER;
ALTER TABLE devices ADD COLUMN suspended_us INTEGER;

-- What users decided, in the order in which it was recorded. What holds now is read off it; nothing is ever changed.
CREATE TABLE consent_decisions (
    no INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    action TEXT NOT NULL CHECK (action IN ('grant', 'withdraw')),
    purpose TEXT NOT NULL CHECK (purpose IN ('store', 'share', 'insights')),
    types TEXT NOT NULL,
    decided_us INTEGER NOT NULL,
    expires_us INTEGER,
    text_version TEXT,
    recorded_by TEXT NOT NULL
) STRICT;
CREATE INDEX consent_decisions_of_user ON consent_decisions (user_id);
INSERT INTO consent_decisions (no, user_id, action, purpose, types, decided_us, expires_us, text_version, recorded_by)
    SELECT no, user_id, 'grant', purpose, types, granted_us, NULL, NULL, recorded_by FROM consents ORDER BY no;
DROP TABLE consents;
CREATE TRIGGER consent_decisions_stay BEFORE DELETE ON consent_decisions BEGIN
    SELECT RAISE(ABORT, 'the history of consent is append-only');
END;
CREATE TRIGGER consent_decisions_do_not_change BEFORE UPDATE ON consent_decisions BEGIN
    SELECT RAISE(ABORT, 'the history of consent is append-only');
END;

-- Access tokens that are void before their time; a row may go when its token has expired anyway.
CREATE TABLE revoked_tokens (
    jti TEXT PRIMARY KEY,
    revoked_us INTEGER NOT NULL,
    expires_s INTEGER NOT NULL      -- at the latest; the token cannot be valid from this second on
) STRICT;

-- One-time codes. The handle is the public part of a code; of the secret part only a digest is kept.
CREATE TABLE enrolments (
    handle TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    device_id TEXT NOT NULL,
    code_sha256 TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    tries INTEGER NOT NULL,         -- wrong ones
    used_us INTEGER
) STRICT;

-- One row for each chain of refresh tokens, however often they were rotated: the newest token, the one before it, and
-- the newest sealed with a key that only a holder of the one before can derive.
CREATE TABLE refresh_families (
    family TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    tag_key TEXT NOT NULL,          -- tells tokens of this family from made-up ones; opens nothing
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,    -- of the family, however often its tokens were rotated
    newest_sha256 TEXT NOT NULL,
    newest_us INTEGER NOT NULL,
    parent_sha256 TEXT,
    sealed_newest TEXT,
    revoked_us INTEGER,
    revoked_for TEXT,
    FOREIGN KEY (user_id, device_id) REFERENCES devices (user_id, device_id)
) STRICT;
CREATE INDEX refresh_families_of_device ON refresh_families (user_id, device_id);
