-- name: webhooks
SELECT name, subscriber, url, created_us, generation, rotated_us, epoch, seq, failures, failing_us, due_us, said,
delivered_us, disabled_us, holder_epoch FROM webhooks ORDER BY name

-- name: webhook
SELECT name, subscriber, url, created_us, generation, rotated_us, epoch, seq, failures, failing_us, due_us, said,
delivered_us, disabled_us, holder_epoch FROM webhooks WHERE name = ?
