-- name: pending
SELECT no, origin, at_us, actor, action, subject, detail FROM audit_outbox ORDER BY no LIMIT ?

-- name: anchor
SELECT no, hash FROM audit_anchor
