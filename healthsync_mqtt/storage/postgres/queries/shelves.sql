-- name: with_rows
SELECT s.shelf FROM generate_series(%(last)s::bigint, %(first)s::bigint, -1) AS s (shelf)
WHERE EXISTS (
    SELECT 1 FROM counted AS c
    WHERE c.shelf = s.shelf AND (%(user)s::text IS NULL OR c.username = %(user)s)
    AND (%(type)s::text IS NULL OR c.type = %(type)s) AND (%(device)s::text IS NULL OR c.device = %(device)s)
    AND (%(first_day)s::bigint IS NULL OR c.day >= %(first_day)s) AND (%(end_day)s::bigint IS NULL OR c.day < %(end_day)s)
)
ORDER BY s.shelf

-- name: users_of_device
SELECT DISTINCT username FROM counted WHERE device = %s LIMIT 2
