-- Schema version 9: what tells of a person can be sealed with that person's key. NULL: it is stored as it is.

-- Of a sealed row (1) the id is empty and the body holds both; of a purged one the id is sealed, as text. Of an erased
-- row (2) neither is known.
ALTER TABLE log ADD COLUMN sealed INTEGER;

-- Of a sealed refusal raw holds field, message, event id and digest, too.
ALTER TABLE quarantine ADD COLUMN sealed INTEGER;

ALTER TABLE format_state ADD COLUMN sealed INTEGER;

-- What a source calls a record and the id of its event, found by a digest that only the user's key makes.
CREATE TABLE format_record_sealed (
    user INTEGER NOT NULL,
    device INTEGER NOT NULL,
    form INTEGER NOT NULL,
    mark BLOB NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (user, device, form, mark)
) STRICT, WITHOUT ROWID;
