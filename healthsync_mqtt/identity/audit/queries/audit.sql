-- name: oldest
SELECT no, at_us, actor, action, subject, detail FROM audit
WHERE no > ?1 AND (CAST(?2 AS TEXT) IS NULL OR subject = ?2) ORDER BY no LIMIT ?3

-- name: newest
SELECT no, at_us, actor, action, subject, detail FROM audit
WHERE no > ?1 AND no < ?4 AND (CAST(?2 AS TEXT) IS NULL OR subject = ?2) ORDER BY no DESC LIMIT ?3

-- name: page
SELECT no, at_us, actor, action, subject, detail, previous, hash FROM audit WHERE no > ? ORDER BY no LIMIT ?

-- name: last
SELECT no, hash FROM audit ORDER BY no DESC LIMIT 1

-- name: hash
SELECT hash FROM audit WHERE no = ?

-- name: insert
INSERT INTO audit (no, at_us, actor, action, subject, detail, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: is_taken
SELECT 1 FROM taken WHERE origin = ?

-- name: take
INSERT INTO taken (origin) VALUES (?)

-- name: forget_taken
DELETE FROM taken WHERE no <= (SELECT max(no) FROM taken) - ?
