-- Up to which row providers that joined the closed set later are no tag: of each time at which some joined, by its number.
CREATE TABLE adoptions (turn INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
INSERT INTO adoptions SELECT 0, seq FROM adopted;
DROP TABLE adopted;
INSERT INTO adoptions
    SELECT 1, COALESCE((SELECT json_extract(json, '$.cursor') + json_extract(json, '$.lag') + 10000 FROM state), 0);
