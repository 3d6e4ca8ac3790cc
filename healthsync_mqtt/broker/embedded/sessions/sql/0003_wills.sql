-- sessions.db, version 3: wills that wait for their client. A row goes in the transaction that has what became of it.

CREATE TABLE wills (
    no INTEGER PRIMARY KEY,
    principal TEXT NOT NULL,        -- JSON, as in sessions: it has to be allowed on the day
    due_us INTEGER NOT NULL,        -- running time
    topic TEXT NOT NULL,
    body BLOB NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    about BLOB NOT NULL,            -- properties as they are sent
    lives_s INTEGER                 -- seconds until it expires, from when it is published; nothing: it does not
) STRICT;
