-- Schema version 5: what is refused for its time is held, and tried again when the clock says this.

ALTER TABLE quarantine ADD COLUMN due_us INTEGER;

CREATE INDEX quarantine_due ON quarantine (due_us) WHERE due_us IS NOT NULL;
