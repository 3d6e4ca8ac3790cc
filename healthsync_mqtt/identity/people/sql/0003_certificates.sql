-- registry.db, version 3: certificates that were issued, and serial numbers that are refused.

CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,        -- hexadecimal, lower case, no leading zeros
    kind TEXT NOT NULL CHECK (kind IN ('server', 'device', 'subscriber', 'admin', 'foreign')),
    client_id TEXT REFERENCES principals (client_id),   -- whose it is; none for a server and for other CAs' certificates
    issued_us INTEGER,              -- not known of other CAs' certificates, like their end
    expires_us INTEGER,
    revoked_us INTEGER,
    revoked_for TEXT
) STRICT;
CREATE INDEX certificates_of_client ON certificates (client_id);

-- Numbers the revocation lists that were written (RFC 5280, 5.2.3).
CREATE TABLE revocation_lists (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO revocation_lists (only, number) VALUES (1, 0);
