-- Files that a provider gives once, until all of them is committed. Sealed with the user's key.
CREATE TABLE shelved (
    link INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (link, name)
);
