-- Schema version 2: what tells of a person can be sealed. What formats remember of records is found by a keyed digest then.

ALTER TABLE quarantine ADD COLUMN sealed smallint;
ALTER TABLE format_state ADD COLUMN sealed smallint;

CREATE TABLE format_record_sealed (
    username text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    form text COLLATE "C" NOT NULL,
    mark bytea NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (username, device, form, mark)
);
