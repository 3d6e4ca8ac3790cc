-- name: invite
SELECT role, holder, expires_us, used_us FROM invites WHERE digest = ?

-- name: session
SELECT id, role, holder, seed, created_us, generation, renewed_us FROM sessions WHERE id = ? AND ended_us IS NULL

-- name: live_sessions
SELECT id, role, holder, seed, created_us, generation, renewed_us FROM sessions
WHERE ended_us IS NULL AND created_us > ?1 AND renewed_us > ?2 ORDER BY created_us, id

-- name: sessions_of
SELECT created_us, renewed_us, ended_us, ended_for FROM sessions WHERE role = ? AND holder = ? ORDER BY created_us, id

-- name: carers
SELECT user_id, carer_id, types, granted_us, until_us FROM carers ORDER BY user_id, carer_id

-- name: carers_of
SELECT user_id, carer_id, types, granted_us, until_us FROM carers WHERE user_id = ? ORDER BY carer_id
