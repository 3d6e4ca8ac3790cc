-- name: version
SELECT version FROM schema_version

-- name: make
CREATE TABLE schema_version (version int NOT NULL)

-- name: begin
INSERT INTO schema_version VALUES (0)

-- name: change
UPDATE schema_version SET version = {}
