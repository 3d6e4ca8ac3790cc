-- Persons of whom the sink is to delete everything, by what it calls them, until it has.
CREATE TABLE erasing (
    subject TEXT PRIMARY KEY, due_us INTEGER NOT NULL, tries INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
