-- name: generation
SELECT value FROM generation

-- name: raise_generation
UPDATE generation SET value = value + 1
