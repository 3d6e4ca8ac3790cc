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

-- name: patience
SET lock_timeout = {}

-- name: try_lock
SELECT pg_try_advisory_lock({})

-- name: lock
SELECT pg_advisory_lock({})

-- name: try_xact_lock
SELECT pg_try_advisory_xact_lock({})

-- name: xact_lock
SELECT pg_advisory_xact_lock({})
