-- The time that acknowledged rows are kept by, and what the device's clock said then.
CREATE TABLE kept_time (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    now REAL NOT NULL,
    clock REAL NOT NULL
);
INSERT INTO kept_time (one, now, clock)
    SELECT 1, latest, latest FROM (SELECT max(acknowledged_at) AS latest FROM outbox) WHERE latest IS NOT NULL;
