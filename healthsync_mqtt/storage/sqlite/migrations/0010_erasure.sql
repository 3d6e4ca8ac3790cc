-- Schema version 10: rows of erased users stay as husks of user 0, and whether what was deleted was always overwritten.

INSERT INTO meta (name, value)
SELECT 'overwritten', NOT EXISTS (SELECT 1 FROM log) AND NOT EXISTS (SELECT 1 FROM sqlite_sequence);
