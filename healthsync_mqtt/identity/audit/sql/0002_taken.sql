-- audit.db, version 2: the notes of registry.db that are rows here, so that none becomes two.
CREATE TABLE taken (
    no INTEGER PRIMARY KEY,
    origin TEXT NOT NULL UNIQUE
) STRICT;
