-- name: app
SELECT client_id, formats, zone, unit, bucket_s, slot, longest, secret, created_us, rotated_us FROM apps WHERE client_id = ?

-- name: apps
SELECT client_id, formats, zone, unit, bucket_s, slot, longest, secret, created_us, rotated_us FROM apps ORDER BY client_id

-- name: declarations
SELECT d.user_id, d.device_id, a.zone, a.unit, a.bucket_s, a.slot, a.longest FROM apps AS a JOIN devices AS d USING (client_id)
