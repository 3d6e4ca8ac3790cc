-- name: plain_refusals
SELECT no, reason, field, message, username, device, provider, topic, received_us, event_id, raw, size, sha256, times, last_us,
due_us, form, fingerprint FROM quarantine WHERE sealed IS NULL ORDER BY no LIMIT %s

-- name: seal_refusal
UPDATE quarantine SET field = NULL, message = '', event_id = NULL, raw = %s, sha256 = %s, fingerprint = %s, topic = %s,
sealed = 1 WHERE no = %s

-- name: plain_states
SELECT username, device, form, state FROM format_state WHERE sealed IS NULL LIMIT %s

-- name: seal_state
UPDATE format_state SET state = %s, sealed = 1 WHERE username = %s AND device = %s AND form = %s

-- name: plain_records
SELECT username, device, form, name, id FROM format_record LIMIT %s

-- name: others
SELECT (SELECT count(*) FROM quarantine WHERE sealed IS NULL) + (SELECT count(*) FROM format_state WHERE sealed IS NULL)
+ (SELECT count(*) FROM format_record)

-- name: compact
VACUUM (FULL) log, sketch, quarantine, format_state, format_record, format_record_sealed
