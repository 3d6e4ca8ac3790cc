-- name: place
SELECT birth, change, rules FROM place

-- name: move
INSERT INTO place (only, birth, change, rules) VALUES (1, ?1, ?2, ?3)
ON CONFLICT (only) DO UPDATE SET birth = ?1, change = ?2, rules = ?3

-- name: person
SELECT agreed, through FROM person WHERE user = ?

-- name: people
SELECT user, agreed, through FROM person

-- name: users
SELECT user FROM person UNION SELECT user FROM finding UNION SELECT user FROM due UNION SELECT user FROM shown

-- name: keep_person
INSERT OR REPLACE INTO person (user, agreed, through) VALUES (?, ?, ?)

-- name: make_due
INSERT OR IGNORE INTO due (user, day) VALUES (?, ?)

-- name: due_user
SELECT user FROM due WHERE user > ? ORDER BY user LIMIT 1

-- name: due_days
SELECT day FROM due WHERE user = ? ORDER BY day LIMIT ?

-- name: settle
DELETE FROM due WHERE user = ? AND day = ?

-- name: anything_due
SELECT 1 FROM due LIMIT 1

-- name: of_days
SELECT kind, day, subject, opened(event, user, 'finding', kind, day, subject) AS event FROM finding WHERE user = ? AND day BETWEEN ? AND ?
AND kind <> 'report'

-- name: told_of_days
SELECT day, types, opened(event, user, 'finding', kind, day, subject) AS event FROM finding WHERE user = ? AND day BETWEEN ? AND ? AND kind <> 'report'
ORDER BY day, kind, subject

-- name: reports
SELECT day, types FROM finding WHERE user = ? AND kind = 'report' ORDER BY day

-- name: reported
SELECT DISTINCT user FROM finding WHERE kind = 'report'

-- name: drop_report
DELETE FROM finding WHERE user = ? AND kind = 'report' AND day = ?

-- name: add
INSERT OR REPLACE INTO finding (user, kind, day, subject, types, event)
VALUES (?1, ?2, ?3, ?4, ?5, sealed(?6, ?1, 'finding', ?2, ?3, ?4))

-- name: seal_findings
UPDATE finding SET event = sealed(event, user, 'finding', kind, day, subject)

-- name: drop
DELETE FROM finding WHERE user = ? AND kind = ? AND day = ? AND subject = ?

-- name: changed
INSERT OR REPLACE INTO changed (user, kind) VALUES (?, ?)

-- name: changes_after
SELECT user, kind, change FROM changed WHERE change > ? ORDER BY change LIMIT ?

-- name: newest
SELECT day, types, opened(event, user, 'finding', kind, day, subject) AS event
FROM finding WHERE user = ?1 AND kind = ?2 ORDER BY day DESC, subject LIMIT ?3

-- name: since
SELECT kind, opened(event, user, 'finding', kind, day, subject) AS event
FROM finding WHERE user = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day, kind, subject

-- name: page
SELECT day, types, opened(event, user, 'finding', kind, day, subject) AS event
FROM finding WHERE user = ?1 AND day BETWEEN ?2 AND ?3 AND (?4 IS NULL OR kind = ?4)
ORDER BY day, kind, subject LIMIT ?5

-- name: newest_page
SELECT day, types, opened(event, user, 'finding', kind, day, subject) AS event
FROM finding WHERE user = ?1 AND day BETWEEN ?2 AND ?3 AND (?4 IS NULL OR kind = ?4)
ORDER BY day DESC, kind, subject LIMIT ?5

-- name: kinds
SELECT DISTINCT kind FROM finding WHERE user = ? ORDER BY kind

-- name: found_days
SELECT DISTINCT day FROM finding WHERE user = ?

-- name: shown
SELECT user, kind, opened(digest, user, 'shown', kind) FROM shown

-- name: show
INSERT OR REPLACE INTO shown (user, kind, digest) VALUES (?1, ?2, sealed(?3, ?1, 'shown', ?2))

-- name: seal_shown
UPDATE shown SET digest = sealed(digest, user, 'shown', kind)

-- name: clear
DELETE FROM shown WHERE user = ? AND kind = ?

-- name: forget_findings
DELETE FROM finding WHERE user = ?

-- name: forget_due
DELETE FROM due WHERE user = ?

-- name: forget_changed
DELETE FROM changed WHERE user = ?

-- name: forget_shown
DELETE FROM shown WHERE user = ?

-- name: forget_person
DELETE FROM person WHERE user = ?
