-- sessions.db, version 2: what MQTT 5 adds to sessions, filters and messages. Defaults are what 3.1.1 means.

ALTER TABLE sessions ADD COLUMN expiry_us INTEGER;                          -- nothing: as long as any
ALTER TABLE filters ADD COLUMN options INTEGER NOT NULL DEFAULT 0;         -- of the subscription, beside the QoS
ALTER TABLE filters ADD COLUMN identifier INTEGER NOT NULL DEFAULT 0;      -- 0: none
ALTER TABLE owed ADD COLUMN about BLOB NOT NULL DEFAULT x'';               -- properties as they are sent
ALTER TABLE owed ADD COLUMN expires_us INTEGER NOT NULL DEFAULT 0;         -- running time, 0: never
ALTER TABLE owed ADD COLUMN identifiers TEXT NOT NULL DEFAULT '';          -- JSON list, empty: none
ALTER TABLE retained ADD COLUMN about BLOB NOT NULL DEFAULT x'';
ALTER TABLE retained ADD COLUMN expires_us INTEGER NOT NULL DEFAULT 0;
