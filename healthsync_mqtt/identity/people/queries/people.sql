-- name: user
SELECT id, created_us, suspended_us, removed_us FROM users WHERE id = ?

-- name: users
SELECT id, created_us, suspended_us, removed_us FROM users WHERE removed_us IS NULL AND id > ?1 ORDER BY id LIMIT ?2

-- name: device
SELECT user_id, device_id, client_id, created_us, removed_us, not_before_s, suspended_us, token_epoch, title
FROM devices JOIN principals USING (client_id) WHERE user_id = ? AND device_id = ?

-- name: devices
SELECT user_id, device_id, client_id, created_us, removed_us, not_before_s, suspended_us, token_epoch, title
FROM devices JOIN principals USING (client_id)
WHERE (CAST(?1 AS TEXT) IS NULL OR user_id = ?1) AND (?2 OR removed_us IS NULL) ORDER BY user_id, device_id

-- name: active_devices
SELECT d.user_id, d.device_id, d.client_id, d.created_us, d.removed_us, d.not_before_s, d.suspended_us, p.token_epoch
FROM devices AS d JOIN principals AS p USING (client_id) JOIN users AS u ON u.id = d.user_id
WHERE d.removed_us IS NULL AND d.suspended_us IS NULL AND u.suspended_us IS NULL AND u.removed_us IS NULL
ORDER BY d.user_id, d.device_id

-- name: active_device_of_client
SELECT d.user_id, d.device_id, d.client_id, d.created_us, d.removed_us, d.not_before_s, d.suspended_us, p.token_epoch
FROM devices AS d JOIN principals AS p USING (client_id) JOIN users AS u ON u.id = d.user_id
WHERE d.client_id = ? AND d.removed_us IS NULL AND d.suspended_us IS NULL
AND u.suspended_us IS NULL AND u.removed_us IS NULL

-- name: client_ids_of_user
SELECT client_id FROM devices WHERE user_id = ?

-- name: subscriber
SELECT name, users, types, created_us, batches, suspended_us, removed_us, token_epoch
FROM subscribers JOIN principals ON client_id = name WHERE name = ?

-- name: subscribers
SELECT name, users, types, created_us, batches, suspended_us, removed_us, token_epoch
FROM subscribers JOIN principals ON client_id = name WHERE removed_us IS NULL ORDER BY name

-- name: admin
SELECT name, created_us, token_epoch FROM admins JOIN principals ON client_id = name WHERE name = ?

-- name: former_admin
SELECT client_id FROM principals WHERE client_id = ?1 AND role = 'admin' AND ?1 NOT IN (SELECT name FROM admins)

-- name: admins
SELECT name, created_us, token_epoch FROM admins JOIN principals ON client_id = name ORDER BY name

-- name: epoch
SELECT token_epoch FROM principals WHERE client_id = ?

-- name: families_of_device
SELECT family FROM refresh_families WHERE user_id = ? AND device_id = ? AND revoked_us IS NULL

-- name: revoked_token
SELECT jti FROM revoked_tokens WHERE jti = ?

-- name: revoked_tokens
SELECT jti FROM revoked_tokens

-- name: oldest_revoked_tokens
SELECT jti FROM revoked_tokens ORDER BY revoked_us DESC, jti LIMIT 4611686018427387904 OFFSET ?

-- name: changes
SELECT DISTINCT kind, key FROM changes WHERE no > ?

-- name: newest_change
SELECT COALESCE(MAX(no), 0) AS no FROM changes

-- name: oldest_change
SELECT COALESCE(MIN(no), 1) AS no FROM changes
