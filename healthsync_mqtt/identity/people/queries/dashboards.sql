-- name: dashboards
SELECT user_id, types, since_us FROM dashboards ORDER BY user_id

-- name: dashboard
SELECT user_id, types, since_us FROM dashboards WHERE user_id = ?
