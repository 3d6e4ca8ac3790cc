-- name: devices
SELECT user_id, device_id, removed_us, suspended_us FROM devices

-- name: barred_devices
SELECT user_id, device_id, removed_us, suspended_us FROM devices
WHERE removed_us IS NOT NULL OR suspended_us IS NOT NULL

-- name: barred_users
SELECT id, suspended_us FROM users WHERE suspended_us IS NOT NULL

-- name: device_of_client
SELECT user_id, device_id, removed_us, suspended_us FROM devices WHERE client_id = ?

-- name: user
SELECT id, suspended_us FROM users WHERE id = ?

-- name: changed
SELECT DISTINCT kind, key FROM changes WHERE no > ? AND kind IN ('principal', 'user')
