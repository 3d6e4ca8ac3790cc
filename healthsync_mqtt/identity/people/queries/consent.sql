-- name: history
SELECT user_id, action, purpose, types, decided_us, expires_us, text_version, recorded_by
FROM consent_decisions WHERE user_id = ? ORDER BY no

-- name: whole_history
SELECT user_id, action, purpose, types, decided_us, expires_us, text_version, recorded_by
FROM consent_decisions ORDER BY no

-- name: newest
SELECT COALESCE(MAX(no), 0) AS no FROM consent_decisions

-- name: users_since
SELECT DISTINCT user_id || '' AS user_id FROM consent_decisions WHERE no > ?

-- name: everybody
SELECT user_id, purpose, decided_us, expires_us, action = 'grant' AND types = '*' AS everything FROM consent_decisions
