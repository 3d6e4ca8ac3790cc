-- part: row
l.seq, l.username, l.device, l.provider, l.id, l.type, l.start_us, l.end_us, l.received_us, l.version, l.op, l.body, l.position, l.identity, l.sealed

-- part: wanted
l.seq > %(after)s AND (%(through)s::bigint IS NULL OR l.seq <= %(through)s) AND length(l.body) > 0 AND (%(user)s::text IS NULL OR l.username = %(user)s)
AND (%(type)s::text IS NULL OR l.type = %(type)s) AND (%(device)s::text IS NULL OR l.device = %(device)s)
AND (%(since)s::bigint IS NULL OR l.start_us >= %(since)s) AND (%(until)s::bigint IS NULL OR l.start_us < %(until)s)
AND (%(version)s::bigint IS NULL OR l.version = %(version)s) AND (%(before)s::bigint IS NULL OR l.seq < %(before)s)
AND (%(history)s OR NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = l.seq))

-- name: is_standby
SELECT pg_is_in_recovery()

-- name: read
SELECT {row} FROM log AS l
WHERE {wanted}
ORDER BY l.seq LIMIT %(limit)s

-- name: read_newest
SELECT {row} FROM log AS l
WHERE {wanted}
ORDER BY l.seq DESC LIMIT %(limit)s

-- name: stretch
SELECT {row} FROM log AS l
WHERE l.seq > %(after)s AND l.seq <= %(through)s AND length(l.body) > 0 ORDER BY l.seq LIMIT %(limit)s

-- name: stretch_of_user
SELECT {row} FROM log AS l
WHERE l.username = %(user)s AND l.seq > %(after)s AND l.seq <= %(through)s AND length(l.body) > 0
ORDER BY l.seq LIMIT %(limit)s

-- name: look_of_user
SELECT seq FROM log WHERE username = %(user)s AND seq > %(after)s ORDER BY seq OFFSET %(look)s - 1 LIMIT 1

-- name: next_of_user
SELECT {row} FROM log AS l
WHERE l.username = %(user)s AND l.seq > %(after)s AND l.seq <= %(through)s ORDER BY l.seq LIMIT 1

-- name: get
SELECT {row} FROM log AS l WHERE l.seq = %s

-- name: every
SELECT {row} FROM log AS l
WHERE l.seq > %s ORDER BY l.seq LIMIT %s

-- name: find
SELECT {row} FROM identity AS i JOIN log AS l ON l.seq = i.seq WHERE i.identity = %s

-- name: types
SELECT unnest(types) AS type FROM person WHERE username = %s ORDER BY type

-- name: rows_of
SELECT seq FROM log WHERE username = %s AND seq > %s ORDER BY seq LIMIT %s

-- name: named_in
SELECT device AS name FROM log WHERE seq = ANY (%(seqs)s) AND device IS NOT NULL
UNION SELECT provider FROM log WHERE seq = ANY (%(seqs)s) AND provider IS NOT NULL ORDER BY name

-- name: unused
SELECT DISTINCT asked.name COLLATE "C" AS name FROM unnest(%s::text[]) AS asked (name)
WHERE NOT EXISTS (
    SELECT 1 FROM log AS l
    WHERE l.device = asked.name OR l.provider = asked.name OR l.username = asked.name OR l.type = asked.name
) ORDER BY name

-- name: users
SELECT username FROM person UNION SELECT username FROM quarantine ORDER BY username

-- name: superseded_between
WITH RECURSIVE older (seq, by_seq) AS (
    SELECT seq, by_seq FROM superseded WHERE by_seq BETWEEN %(first)s AND %(last)s
    UNION ALL
    SELECT s.seq, o.by_seq FROM older AS o JOIN superseded AS s ON s.by_seq = o.seq
), newest (seq, by_seq) AS (
    SELECT seq, max(by_seq) FROM older GROUP BY seq ORDER BY seq DESC LIMIT %(newest)s
)
SELECT newest.by_seq, {row} FROM newest JOIN log AS l ON l.seq = newest.seq ORDER BY l.seq

-- name: purgeable
SELECT l.seq FROM log AS l JOIN identity AS i ON i.identity = l.identity
WHERE l.seq > %(after)s AND l.seq <= %(through)s AND l.type = %(type)s AND l.start_us < %(before)s AND l.op = 0
AND length(l.body) > 0 AND (i.seq = l.seq OR i.seq <= %(shipped)s) ORDER BY l.seq

-- name: purged_before
SELECT before_us FROM purged WHERE type = %s

-- name: meta
SELECT name, value FROM meta

-- name: head
SELECT seq FROM head WHERE one

-- name: cursor
SELECT seq FROM cursor WHERE name = %s

-- name: cursors
SELECT name, seq FROM cursor ORDER BY name

-- name: rejected
SELECT no, reason, field, message, username, device, provider, topic, received_us, event_id, raw, size, sha256, times, last_us, due_us, form, sealed
FROM quarantine WHERE no > %(after)s AND (%(user)s::text IS NULL OR username = %(user)s) ORDER BY no LIMIT %(limit)s

-- name: rejected_before
SELECT no, reason, field, message, username, device, provider, topic, received_us, event_id, raw, size, sha256, times, last_us, due_us, form, sealed
FROM quarantine WHERE no > %(after)s AND no < %(before)s AND (%(user)s::text IS NULL OR username = %(user)s) ORDER BY no DESC LIMIT %(limit)s

-- name: rejected_due
SELECT no FROM quarantine WHERE due_us <= %s ORDER BY due_us, no LIMIT %s

-- name: rejected_old
SELECT no FROM quarantine WHERE no > %(after)s AND last_us < %(before)s AND (%(user)s::text IS NULL OR username = %(user)s)
AND coalesce(due_us > %(spare)s::bigint, true) ORDER BY no LIMIT %(limit)s

-- name: rejected_get
SELECT no, reason, field, message, username, device, provider, topic, received_us, event_id, raw, size, sha256, times, last_us, due_us, form, sealed
FROM quarantine WHERE no = %s

-- name: format_state
SELECT state, sealed FROM format_state WHERE username = %s AND device = %s AND form = %s

-- name: format_states_of
SELECT username, device, form, state, sealed FROM format_state WHERE username = %s AND length(state) > 0 ORDER BY device, form

-- name: format_users
SELECT DISTINCT username FROM format_state WHERE length(state) > 0 ORDER BY username

-- name: format_records
SELECT name, id FROM format_record
WHERE username = %(user)s AND device = %(device)s AND form = %(form)s
AND name >= %(prefix)s AND substring(name FROM 1 FOR length(%(prefix)s)) = %(prefix)s ORDER BY name, id LIMIT %(limit)s

-- name: format_states
SELECT username, device, form, state, sealed FROM format_state ORDER BY username, device, form

-- name: format_records_of_all
SELECT username, device, form, name, id FROM format_record ORDER BY username, device, form, name, id

-- name: format_marks
SELECT mark FROM format_record_sealed WHERE username = %s AND device = %s AND form = %s

-- name: format_records_sealed
SELECT mark, record FROM format_record_sealed
WHERE username = %s AND device = %s AND form = %s AND mark = ANY (%s::bytea[])

-- name: format_records_sealed_of_all
SELECT username, device, form, record FROM format_record_sealed ORDER BY username, device, form

-- name: totals
SELECT (SELECT seq FROM head), (SELECT count(*) FROM superseded), (SELECT count(*) FROM quarantine),
(SELECT count(*) FROM person)
