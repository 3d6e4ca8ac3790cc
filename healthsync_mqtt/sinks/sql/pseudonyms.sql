-- name: salt
SELECT salt FROM salt WHERE user = ?;

-- name: mint
INSERT OR IGNORE INTO salt VALUES (?, ?);

-- name: forget
DELETE FROM salt WHERE user = ?;

-- name: identity
SELECT id FROM identity;

-- name: remember_forgotten
INSERT OR IGNORE INTO forgotten VALUES (?);

-- name: is_forgotten
SELECT 1 FROM forgotten WHERE mark = ?;
