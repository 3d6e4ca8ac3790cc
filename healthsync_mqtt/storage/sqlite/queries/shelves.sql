-- name: with_user
WITH RECURSIVE shelf (no) AS (SELECT :first UNION ALL SELECT no + :step FROM shelf WHERE no <> :last)
SELECT no FROM shelf WHERE EXISTS (
    SELECT 1 FROM shelf_count AS c WHERE c.shelf = shelf.no AND c.user = :user AND (:type IS NULL OR c.type = :type)
) LIMIT 1

-- name: with_user_of_before
WITH RECURSIVE shelf (no) AS (SELECT :first UNION ALL SELECT no + :step FROM shelf WHERE no <> :last)
SELECT no FROM shelf WHERE EXISTS (
    SELECT 1 FROM shelf_user AS u WHERE u.shelf = shelf.no AND u.user = :user AND (:type IS NULL OR u.type = :type)
) OR EXISTS (
    SELECT 1 FROM shelf_count AS c WHERE c.shelf = shelf.no AND c.user = :user AND (:type IS NULL OR c.type = :type)
) LIMIT 1

-- name: with_rows
WITH RECURSIVE shelf (no) AS (SELECT :first UNION ALL SELECT no + :step FROM shelf WHERE no <> :last)
SELECT no FROM shelf WHERE EXISTS (
    SELECT 1 FROM shelf_count AS c WHERE c.shelf = shelf.no AND (:type IS NULL OR c.type = :type)
    AND (:device IS NULL OR c.device = :device)
    AND (:first_day IS NULL OR c.day >= :first_day) AND (:end_day IS NULL OR c.day < :end_day)
) LIMIT 1

-- name: with_rows_of_user
WITH RECURSIVE shelf (no) AS (SELECT :first UNION ALL SELECT no + :step FROM shelf WHERE no <> :last)
SELECT no FROM shelf WHERE EXISTS (
    SELECT 1 FROM shelf_count AS c WHERE c.shelf = shelf.no AND c.user = :user AND (:type IS NULL OR c.type = :type)
    AND (:device IS NULL OR c.device = :device)
    AND (:first_day IS NULL OR c.day >= :first_day) AND (:end_day IS NULL OR c.day < :end_day)
) LIMIT 1

-- name: block_end
SELECT min(last_seq) FROM block WHERE last_seq >= ?

-- name: users_of_device
SELECT DISTINCT user FROM shelf_count WHERE device = ? LIMIT 2
