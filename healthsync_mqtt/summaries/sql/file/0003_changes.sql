-- summaries.db, version 3: the number of the newest change, also when the day that had it is forgotten with its user. A
-- number that is given again would be behind the place of a reader, and what has it never seen.
ALTER TABLE birth ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;
