-- name: counted_through
SELECT counted FROM head WHERE one

-- name: set_counted
UPDATE head SET counted = %s WHERE one

-- name: count_rows
INSERT INTO counted AS c (shelf, username, type, device, provider, day, events)
SELECT l.seq >> 19, l.username, l.type, coalesce(l.device, ''), coalesce(l.provider, ''),
l.start_us / 86400000000 - (l.start_us < 0 AND mod(l.start_us, 86400000000) <> 0)::int, count(*) FILTER (WHERE l.op = 0 AND length(l.body) > 0)
FROM log AS l WHERE l.seq > %(after)s AND l.seq <= %(through)s AND l.username <> %(nobody)s
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT (shelf, username, type, device, provider, day) DO UPDATE SET events = c.events + excluded.events

-- name: uncount_superseded
INSERT INTO counted AS c (shelf, username, type, device, provider, day, events)
SELECT l.seq >> 19, l.username, l.type, coalesce(l.device, ''), coalesce(l.provider, ''),
l.start_us / 86400000000 - (l.start_us < 0 AND mod(l.start_us, 86400000000) <> 0)::int, -count(*)
FROM superseded AS s JOIN log AS l ON l.seq = s.seq
WHERE s.by_seq > %(after)s AND s.by_seq <= %(through)s AND l.username <> %(nobody)s AND l.op = 0 AND length(l.body) > 0
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT (shelf, username, type, device, provider, day) DO UPDATE SET events = c.events + excluded.events

-- name: uncount_rows
INSERT INTO counted AS c (shelf, username, type, device, provider, day, events)
SELECT l.seq >> 19, l.username, l.type, coalesce(l.device, ''), coalesce(l.provider, ''),
l.start_us / 86400000000 - (l.start_us < 0 AND mod(l.start_us, 86400000000) <> 0)::int, -count(*)
FROM log AS l WHERE l.seq = ANY (%(seqs)s) AND l.seq <= %(counted)s AND (%(user)s::text IS NULL OR l.username = %(user)s)
AND l.username <> %(nobody)s AND l.op = 0 AND length(l.body) > 0
AND NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = l.seq AND s.by_seq <= %(counted)s)
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT (shelf, username, type, device, provider, day) DO UPDATE SET events = c.events + excluded.events

-- name: forget_counts
DELETE FROM counted WHERE username = %s

-- name: kept
SELECT username, type, device, provider, CASE WHEN %(days)s THEN day ELSE 0 END, sum(events)::bigint FROM counted
WHERE (%(user)s::text IS NULL OR username = %(user)s) AND (%(type)s::text IS NULL OR type = %(type)s)
AND (%(device)s::text IS NULL OR device = %(device)s)
AND (%(first_day)s::bigint IS NULL OR day >= %(first_day)s) AND (%(end_day)s::bigint IS NULL OR day < %(end_day)s)
GROUP BY 1, 2, 3, 4, 5

-- name: superseded_since
SELECT l.username, l.type, coalesce(l.device, ''), coalesce(l.provider, ''),
CASE WHEN %(days)s THEN l.start_us / 86400000000 - (l.start_us < 0 AND mod(l.start_us, 86400000000) <> 0)::int ELSE 0 END, -count(*)
FROM superseded AS s JOIN log AS l ON l.seq = s.seq
WHERE s.by_seq > %(counted)s AND s.seq <= %(counted)s AND (%(user)s::text IS NULL OR l.username = %(user)s)
AND (%(type)s::text IS NULL OR l.type = %(type)s) AND (%(device)s::text IS NULL OR l.device = %(device)s)
AND (%(since)s::bigint IS NULL OR l.start_us >= %(since)s) AND (%(until)s::bigint IS NULL OR l.start_us < %(until)s)
AND l.op = 0 AND length(l.body) > 0
GROUP BY 1, 2, 3, 4, 5

-- name: scan
SELECT l.username, l.type, coalesce(l.device, ''), coalesce(l.provider, ''),
CASE WHEN %(days)s THEN l.start_us / 86400000000 - (l.start_us < 0 AND mod(l.start_us, 86400000000) <> 0)::int ELSE 0 END, count(*)
FROM log AS l
WHERE l.seq > %(after)s AND (%(user)s::text IS NULL OR l.username = %(user)s)
AND (%(type)s::text IS NULL OR l.type = %(type)s) AND (%(device)s::text IS NULL OR l.device = %(device)s)
AND (%(since)s::bigint IS NULL OR l.start_us >= %(since)s) AND (%(until)s::bigint IS NULL OR l.start_us < %(until)s)
AND l.op = 0 AND length(l.body) > 0 AND NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = l.seq)
GROUP BY 1, 2, 3, 4, 5

-- name: scan_day
SELECT l.username, l.type, coalesce(l.device, ''), coalesce(l.provider, ''),
CASE WHEN %(days)s THEN l.start_us / 86400000000 - (l.start_us < 0 AND mod(l.start_us, 86400000000) <> 0)::int ELSE 0 END, count(*)
FROM (
    SELECT DISTINCT shelf FROM counted
    WHERE day = %(day)s AND (%(user)s::text IS NULL OR username = %(user)s)
    AND (%(type)s::text IS NULL OR type = %(type)s) AND (%(device)s::text IS NULL OR device = %(device)s)
) AS c JOIN log AS l ON l.seq >= c.shelf << 19 AND l.seq < (c.shelf + 1) << 19 AND l.seq <= %(counted)s
WHERE (%(user)s::text IS NULL OR l.username = %(user)s)
AND (%(type)s::text IS NULL OR l.type = %(type)s) AND (%(device)s::text IS NULL OR l.device = %(device)s)
AND l.start_us >= %(since)s AND l.start_us < %(until)s
AND l.op = 0 AND length(l.body) > 0 AND NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.seq = l.seq)
GROUP BY 1, 2, 3, 4, 5
