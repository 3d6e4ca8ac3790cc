-- name: passkey
SELECT id, role, holder, handle, name, public_key, sign_count, created_us, used_us FROM passkeys WHERE id = ?

-- name: passkeys_of
SELECT id, role, holder, handle, name, public_key, sign_count, created_us, used_us FROM passkeys
WHERE role = ? AND holder = ? ORDER BY created_us, id

-- name: answered
SELECT count(*) FROM answered_challenges WHERE digest = ?
