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

-- name: secret
SELECT secret FROM installation;

-- name: share_secret
UPDATE installation SET secret = ?;

-- name: salts
SELECT user, salt FROM salt ORDER BY user;

-- name: take_salt
INSERT INTO salt VALUES (?, ?) ON CONFLICT (user) DO UPDATE SET salt = excluded.salt;
