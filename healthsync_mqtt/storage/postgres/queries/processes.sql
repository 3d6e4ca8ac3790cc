-- name: note
INSERT INTO process (kind, name, host, data, release, started_us, seen, pid, ended, home, figures)
VALUES (%(kind)s, %(name)s, %(host)s, %(data)s, %(release)s, %(started)s, clock_timestamp(), pg_backend_pid(), false,
%(home)s, %(figures)s)
ON CONFLICT (kind, name, host, data) DO UPDATE SET release = excluded.release, started_us = excluded.started_us,
seen = excluded.seen, pid = excluded.pid, ended = false, home = excluded.home, figures = excluded.figures

-- name: end
UPDATE process SET ended = true, seen = clock_timestamp(), figures = %(figures)s
WHERE kind = %(kind)s AND name = %(name)s AND host = %(host)s AND data = %(data)s AND started_us = %(started)s

-- name: replace_ended
DELETE FROM process WHERE ended AND kind = %(kind)s AND name = %(name)s

-- name: forget
DELETE FROM process WHERE ctid = ANY (ARRAY(
SELECT ctid FROM process WHERE seen < clock_timestamp() - make_interval(secs => %(kept)s) FOR UPDATE SKIP LOCKED))

-- name: trim
DELETE FROM process WHERE ctid = ANY (ARRAY(
SELECT ctid FROM process ORDER BY seen DESC OFFSET %(most)s FOR UPDATE SKIP LOCKED))

-- name: processes
SELECT p.kind, p.name, p.host, p.data, p.release, p.started_us, p.home,
(extract(epoch FROM p.seen) * 1000000)::bigint, extract(epoch FROM clock_timestamp() - p.seen)::float8, p.ended,
coalesce(bool_or(l.classid = %(lead)s::bigint::oid), false), coalesce(bool_or(l.classid = %(ship)s::bigint::oid), false),
p.figures
FROM process AS p LEFT JOIN pg_locks AS l ON l.pid = p.pid AND NOT p.ended AND l.locktype = 'advisory' AND l.granted
AND l.classid IN (%(lead)s::bigint::oid, %(ship)s::bigint::oid)
AND l.objid = (hashtext(%(schema)s)::bigint & 4294967295)::oid AND l.objsubid = 2
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
WHERE p.seen >= clock_timestamp() - make_interval(secs => %(kept)s)
GROUP BY p.kind, p.name, p.host, p.data
ORDER BY p.kind, p.name, p.host, p.data LIMIT %(most)s
