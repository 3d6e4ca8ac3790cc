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

-- name: plain
SELECT user_id, purpose, min(decided_us) AS decided_us, min(expires_us) AS expires_us FROM consent_decisions
GROUP BY user_id, purpose HAVING count(*) = 1 AND min(action) = 'grant' AND min(types) = '*'

-- name: users_not_plain
SELECT DISTINCT user_id FROM (
    SELECT user_id FROM consent_decisions
    GROUP BY user_id, purpose HAVING NOT (count(*) = 1 AND min(action) = 'grant' AND min(types) = '*')
) AS others
