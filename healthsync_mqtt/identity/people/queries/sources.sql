-- name: preferences
SELECT user_id, sources FROM source_preferences ORDER BY user_id

-- name: preference
SELECT user_id, sources FROM source_preferences WHERE user_id = ?
