-- Schema version 6: refused bytes keep the format that they are in; NULL: our own JSON.

ALTER TABLE quarantine ADD COLUMN form TEXT;
