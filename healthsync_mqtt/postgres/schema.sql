-- name: there
SELECT true FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = {} AND c.relname = 'schema_version'

-- name: version
SELECT version FROM schema_version

-- name: make
CREATE TABLE schema_version (version int NOT NULL)

-- name: begin
INSERT INTO schema_version VALUES (0)

-- name: change
UPDATE schema_version SET version = {}
