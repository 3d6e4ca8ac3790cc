-- Whether a subscriber asked for arrays of canonical events; otherwise each event is a message of its own.
ALTER TABLE subscribers ADD COLUMN batches INTEGER NOT NULL DEFAULT 0;
