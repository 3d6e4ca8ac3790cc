-- name: enrolment
SELECT handle, user_id, device_id, code_sha256, expires_us, tries, used_us, used_by
FROM enrolments WHERE handle = ?

-- name: open_enrolments
SELECT handle, user_id, device_id, code_sha256, expires_us, tries, used_us, used_by FROM enrolments
WHERE (used_us IS NULL OR used_us > ?1 - ?2) AND expires_us > ?1 AND tries < ?3

-- name: family
SELECT family, user_id, device_id, tag_key, expires_us, newest_sha256, newest_us, parent_sha256, sealed_newest,
    revoked_us
FROM refresh_families WHERE family = ?

-- name: live_families
SELECT family, user_id, device_id, tag_key, expires_us FROM refresh_families
WHERE revoked_us IS NULL AND expires_us > ? AND newest_us > ?

-- name: refused_of_client
SELECT client_id, reason, address, count, first_us, last_us FROM refused_logins
WHERE client_id = ? ORDER BY last_us DESC, reason, address

-- name: refused_since
SELECT client_id, reason, address, count, first_us, last_us FROM refused_logins
WHERE last_us >= ? ORDER BY last_us DESC, client_id, reason, address

-- name: note_refused
INSERT INTO refused_logins (client_id, reason, address, count, first_us, last_us)
SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM principals WHERE client_id = ?1)
ON CONFLICT (client_id, reason, address) DO UPDATE SET count = refused_logins.count + ?4,
last_us = CASE WHEN refused_logins.last_us > ?6 THEN refused_logins.last_us ELSE ?6 END

-- name: keep_newest_of_client
DELETE FROM refused_logins WHERE client_id = ?1 AND (client_id, reason, address) NOT IN (
    SELECT client_id, reason, address FROM refused_logins WHERE client_id = ?1
    ORDER BY last_us DESC, reason, address LIMIT ?2
)

-- name: keep_newest
DELETE FROM refused_logins WHERE (client_id, reason, address) IN (
    SELECT client_id, reason, address FROM refused_logins ORDER BY last_us DESC, client_id, reason, address
    LIMIT 4611686018427387904 OFFSET ?
)
