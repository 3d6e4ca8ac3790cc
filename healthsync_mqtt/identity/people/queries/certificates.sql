-- name: certificate
SELECT serial, kind, client_id, issued_us, expires_us, revoked_us, revoked_for FROM certificates WHERE serial = ?

-- name: issued
SELECT serial, kind, client_id, issued_us, expires_us, revoked_us, revoked_for FROM certificates
WHERE CAST(?1 AS TEXT) IS NULL OR client_id = ?1 ORDER BY issued_us, serial

-- name: ends_of_clients
SELECT expires_us FROM certificates WHERE kind <> 'server' AND expires_us > ? AND revoked_us IS NULL

-- name: end_of_client
SELECT max(expires_us) FROM certificates JOIN principals USING (client_id)
WHERE client_id = ? AND expires_us > ? AND revoked_us IS NULL AND certificates.token_epoch >= principals.token_epoch

-- name: denied
SELECT serial FROM certificates LEFT JOIN principals USING (client_id)
WHERE revoked_us IS NOT NULL OR certificates.token_epoch < principals.token_epoch

-- name: denied_of
SELECT serial, revoked_us IS NOT NULL OR certificates.token_epoch < COALESCE(principals.token_epoch, 0) AS denied
FROM certificates LEFT JOIN principals USING (client_id) WHERE serial = ?

-- name: denied_of_client
SELECT serial, revoked_us IS NOT NULL OR certificates.token_epoch < principals.token_epoch AS denied
FROM certificates JOIN principals USING (client_id) WHERE client_id = ?

-- name: list_number
SELECT number FROM revocation_lists

-- name: revoked
SELECT serial, revoked_us FROM certificates
WHERE revoked_us IS NOT NULL AND (expires_us IS NULL OR expires_us > ?) ORDER BY revoked_us, serial
