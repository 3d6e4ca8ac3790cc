-- registry.db, version 9: how long the messages of an app may be, where its login says so.

ALTER TABLE apps ADD COLUMN longest INTEGER;    -- bytes
