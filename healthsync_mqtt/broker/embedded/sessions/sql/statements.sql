-- The statements of sessions.db by name: what puts a row and what takes it away.

-- name: put_session
INSERT INTO sessions (no, client_id, principal, left_us, expiry_us) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (no) DO UPDATE SET principal = ?3, left_us = ?4, expiry_us = ?5

-- name: drop_session
DELETE FROM sessions WHERE no = ?1

-- name: put_filter
INSERT OR REPLACE INTO filters (session, filter, qos, replaying, options, identifier) VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- name: drop_filter
DELETE FROM filters WHERE session = ?1 AND filter = ?2

-- name: put_owed
INSERT INTO owed (session, no, topic, payload, qos, retain, packet_id, completing, about, expires_us, identifiers)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (session, no) DO UPDATE SET packet_id = ?7, completing = ?8

-- name: move_owed
UPDATE owed SET packet_id = ?3, completing = ?4 WHERE session = ?1 AND no = ?2

-- name: drop_owed
DELETE FROM owed WHERE session = ?1 AND no = ?2

-- name: put_unreleased
INSERT OR IGNORE INTO unreleased (session, packet_id) VALUES (?1, ?2)

-- name: drop_unreleased
DELETE FROM unreleased WHERE session = ?1 AND packet_id = ?2

-- name: put_retained
INSERT OR REPLACE INTO retained (topic, body, qos, about, expires_us) VALUES (?1, ?2, ?3, ?4, ?5)

-- name: drop_retained
DELETE FROM retained WHERE topic = ?1

-- name: put_will
INSERT OR REPLACE INTO wills (no, principal, due_us, topic, body, qos, retain, about, lives_s)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)

-- name: drop_will
DELETE FROM wills WHERE no = ?1

-- name: put_payload
INSERT INTO payloads (no, body) VALUES (?1, ?2)

-- name: last_payload
SELECT coalesce(max(no), 0) FROM payloads

-- name: whose_payloads
SELECT DISTINCT payloads.no, payloads.body, owed.topic FROM payloads JOIN owed ON owed.payload = payloads.no

-- name: change_payload
UPDATE payloads SET body = ?2 WHERE no = ?1

-- name: move_payload
UPDATE owed SET payload = ?2 WHERE payload = ?1 AND topic = ?3

-- name: abouts
SELECT session, no, topic, about FROM owed WHERE length(about) > 0

-- name: change_about
UPDATE owed SET about = ?3 WHERE session = ?1 AND no = ?2

-- name: payloads_of_session
SELECT DISTINCT payload FROM owed WHERE session = ?1

-- name: payload_of_owed
SELECT payload FROM owed WHERE session = ?1 AND no = ?2

-- name: drop_payload
DELETE FROM payloads WHERE no = ?1 AND NOT EXISTS (SELECT 1 FROM owed WHERE payload = ?1)

-- name: run
UPDATE service SET running_us = ?1

-- name: running
SELECT running_us FROM service

-- name: sessions
SELECT no, principal, left_us, expiry_us FROM sessions ORDER BY left_us

-- name: filters
SELECT session, filter, qos, replaying, options, identifier FROM filters

-- name: owed
SELECT session, no, topic, payload, qos, retain, packet_id, completing, about, expires_us, identifiers
FROM owed ORDER BY session, no

-- name: unreleased
SELECT session, packet_id FROM unreleased

-- name: payloads
SELECT no, body FROM payloads

-- name: retained
SELECT topic, body, qos, about, expires_us FROM retained

-- name: wills
SELECT no, principal, due_us, topic, body, qos, retain, about, lives_s FROM wills ORDER BY no
