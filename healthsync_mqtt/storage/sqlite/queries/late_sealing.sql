-- name: others
SELECT (SELECT count(*) FROM quarantine WHERE sealed IS NULL) + (SELECT count(*) FROM format_state WHERE sealed IS NULL)
+ (SELECT count(*) FROM format_record)

-- name: plain_refusals
SELECT no, reason, field, message, user, device, provider, topic, received_us, event_id, raw,
coalesce(size, length(raw)), sha256, form, fingerprint FROM quarantine WHERE sealed IS NULL ORDER BY no LIMIT ?

-- name: seal_refusal
UPDATE quarantine SET raw = ?, size = ?, sha256 = ?, fingerprint = ?, field = NULL, message = '', event_id = NULL, sealed = 1
WHERE no = ?

-- name: plain_states
SELECT user, device, form, state FROM format_state WHERE sealed IS NULL LIMIT ?

-- name: seal_state
UPDATE format_state SET state = ?, sealed = 1 WHERE user = ? AND device = ? AND form = ?

-- name: plain_records
SELECT user, device, form, name, id FROM format_record ORDER BY user, device, form, name, id LIMIT ?
