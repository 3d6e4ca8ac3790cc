-- name: refuse
INSERT INTO refused (seq, place, reason, status, message, at_us, due_us)
    VALUES (?1, ?2, ?3, ?4, sealed(?5, '', 'refused', ?1, ?2), ?6, ?7)
    ON CONFLICT (seq, place) DO UPDATE SET reason = excluded.reason, status = excluded.status,
        message = excluded.message, at_us = excluded.at_us, due_us = excluded.due_us, tries = tries + 1;

-- name: seal_refused
UPDATE refused SET message = sealed(message, '', 'refused', seq, place);

-- name: accept
DELETE FROM refused WHERE seq = ? AND place = ?;

-- name: forgive
DELETE FROM refused WHERE seq = ?;

-- name: refused
SELECT seq, place, reason, status, coalesce(opened(message, '', 'refused', seq, place), '') FROM refused ORDER BY seq DESC, place LIMIT ?;

-- name: refused_between
SELECT seq, place FROM refused WHERE seq BETWEEN ? AND ?;

-- name: refused_due
SELECT seq, max(tries) AS tries FROM refused WHERE due_us > 0 AND due_us <= ? GROUP BY seq ORDER BY min(due_us) LIMIT 1;

-- name: refused_events
SELECT DISTINCT seq FROM refused ORDER BY seq;

-- name: refused_count
SELECT count(*) FROM refused;

-- name: owe
INSERT INTO owed VALUES (?1, ?2, ?3, ?4, sealed(?5, '', 'owed', ?1, ?2), ?6, 0)
    ON CONFLICT (series, time_ns) DO UPDATE SET seq = max(seq, excluded.seq), reason = excluded.reason,
        message = excluded.message, due_us = excluded.due_us, tries = tries + 1;

-- name: seal_owed
UPDATE owed SET message = sealed(message, '', 'owed', series, time_ns);

-- name: settle
DELETE FROM owed WHERE series = ? AND time_ns = ?;

-- name: owed_due
SELECT series, time_ns, seq, tries, reason, coalesce(opened(message, '', 'owed', series, time_ns), '') FROM owed WHERE due_us <= ? ORDER BY due_us LIMIT 1;

-- name: owed
SELECT series, time_ns, seq, tries, reason, coalesce(opened(message, '', 'owed', series, time_ns), '') FROM owed ORDER BY seq DESC LIMIT ?;

-- name: owed_count
SELECT count(*) FROM owed;

-- name: owed_due_now
UPDATE owed SET due_us = 0;

-- name: series
SELECT own FROM series WHERE user = ? AND series = ?;

-- name: decide
INSERT OR IGNORE INTO series (user, series, own) VALUES (?, ?, ?);

-- name: series_count
SELECT count(*) FROM series WHERE own = 1;

-- name: series_of
SELECT count(*) FROM series WHERE own = 1 AND user = ?;

-- name: over_budget
SELECT user FROM over_budget;

-- name: spend
INSERT OR IGNORE INTO over_budget VALUES (?);

-- name: displaced
SELECT user, opened(id, user, 'displaced') AS id, shift FROM displaced WHERE opened(id, user, 'displaced') IS NOT NULL;

-- name: displace_again
UPDATE displaced SET shift = ?3 WHERE user = ?1 AND opened(id, user, 'displaced') = ?2;

-- name: seal_displaced
UPDATE displaced SET id = sealed(id, user, 'displaced');

-- name: displace
INSERT OR REPLACE INTO displaced VALUES (?1, sealed(?2, ?1, 'displaced'), ?3);

-- name: adoptions
SELECT seq FROM adoptions ORDER BY turn;

-- name: save_state
INSERT OR REPLACE INTO state VALUES (1, ?);

-- name: state
SELECT json FROM state;

-- name: knows
SELECT 1 FROM series WHERE user = ? LIMIT 1;

-- name: pseudonyms
SELECT id FROM pseudonyms;

-- name: bind
INSERT OR IGNORE INTO pseudonyms VALUES (1, ?);

-- name: users
SELECT DISTINCT user FROM series ORDER BY user;

-- name: all_series
SELECT user, series, own FROM series;

-- name: take_series
INSERT OR IGNORE INTO series (user, series, own) VALUES (?, ?, ?);

-- name: take_spent
INSERT OR IGNORE INTO over_budget VALUES (?);

-- name: take_displaced
INSERT INTO displaced SELECT ?1, sealed(?2, ?1, 'displaced'), ?3
WHERE NOT EXISTS (SELECT 1 FROM displaced WHERE user = ?1 AND opened(id, user, 'displaced') = ?2);

-- name: days_place
SELECT change FROM days;

-- name: keep_days_place
UPDATE days SET change = ?;

-- name: day_point
SELECT names FROM day_point WHERE series = ? AND day = ?;

-- name: keep_day_point
INSERT OR REPLACE INTO day_point VALUES (?, ?, ?);

-- name: drop_day_point
DELETE FROM day_point WHERE series = ? AND day = ?;

-- name: ask_erasure
INSERT INTO erasing VALUES (?, 0, 0, '') ON CONFLICT (subject) DO UPDATE SET due_us = 0;

-- name: erasing
SELECT subject, reason FROM erasing ORDER BY subject;

-- name: erasing_due
SELECT subject, tries FROM erasing WHERE due_us <= ? ORDER BY due_us LIMIT 1;

-- name: erasing_later
UPDATE erasing SET due_us = ?, tries = tries + 1, reason = ? WHERE subject = ?;

-- name: erased
DELETE FROM erasing WHERE subject = ?;

-- name: forget_series
DELETE FROM series WHERE user = ?;

-- name: forget_displaced
DELETE FROM displaced WHERE user = ?;

-- name: forget_spent
DELETE FROM over_budget WHERE user = ?;

-- name: forget_day_points
DELETE FROM day_point WHERE series >= ?1 || '/' AND series < ?1 || '0';
