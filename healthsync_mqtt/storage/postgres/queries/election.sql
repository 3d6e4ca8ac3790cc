-- name: lead
SELECT pg_try_advisory_lock(%s, hashtext(%s))

-- name: ballot
SELECT (SELECT seq FROM head WHERE one),
coalesce(array_agg(DISTINCT a.application_name ORDER BY a.application_name), '{}'),
max(a.application_name) FILTER (WHERE l.classid = %(lead)s::bigint::oid),
max(a.application_name) FILTER (WHERE l.classid = %(ship)s::bigint::oid)
FROM pg_stat_activity AS a LEFT JOIN pg_locks AS l ON l.pid = a.pid AND l.locktype = 'advisory' AND l.granted
AND l.classid IN (%(lead)s::bigint::oid, %(ship)s::bigint::oid)
AND l.objid = (hashtext(%(schema)s)::bigint & 4294967295)::oid AND l.objsubid = 2
WHERE a.datname = current_database() AND starts_with(a.application_name, %(prefix)s)
