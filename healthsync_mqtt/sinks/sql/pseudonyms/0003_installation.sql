-- One secret for all bridges of an installation: what a user's salt is made of, where he has none yet.
CREATE TABLE installation (one INTEGER PRIMARY KEY CHECK (one = 1), secret BLOB NOT NULL) STRICT;
INSERT INTO installation VALUES (1, randomblob(32));
