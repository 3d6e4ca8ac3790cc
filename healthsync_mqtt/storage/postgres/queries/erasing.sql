-- name: forget_identities
DELETE FROM identity WHERE identity IN (SELECT identity FROM log WHERE seq = ANY (%(seqs)s) AND username = %(user)s)

-- name: supersede_no_more
DELETE FROM superseded WHERE seq IN (SELECT seq FROM log WHERE seq = ANY (%(seqs)s) AND username = %(user)s)

-- name: husks
UPDATE log SET username = %(nobody)s, type = %(nobody)s, device = NULL, provider = NULL, id = '', body = '', start_us = 0,
end_us = NULL, version = 0, op = 0, sealed = NULL, position = seq
WHERE seq = ANY (%(seqs)s) AND username = %(user)s

-- name: forget_refusals
DELETE FROM quarantine WHERE username = %s

-- name: forget_held
DELETE FROM quarantine_held WHERE username = %s

-- name: forget_states
DELETE FROM format_state WHERE username = %s

-- name: forget_records
DELETE FROM format_record WHERE username = %s

-- name: forget_records_sealed
DELETE FROM format_record_sealed WHERE username = %s

-- name: forget_person
DELETE FROM person WHERE username = %s

-- name: vacuum
VACUUM log, counted, sketch, unsketched, identity, superseded, person, quarantine, quarantine_held, format_state, format_record, format_record_sealed
