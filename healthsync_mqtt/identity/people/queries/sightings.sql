-- name: note_login
INSERT INTO sightings (client_id, connected_us, seen_us, address, protocol)
SELECT ?1, ?2, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM devices WHERE client_id = ?1 AND removed_us IS NULL)
    OR EXISTS (SELECT 1 FROM subscribers WHERE name = ?1 AND removed_us IS NULL)
ON CONFLICT (client_id) DO UPDATE
SET connected_us = ?2, seen_us = CASE WHEN sightings.seen_us > ?2 THEN sightings.seen_us ELSE ?2 END,
address = ?3, protocol = ?4

-- name: note_seen
UPDATE sightings SET seen_us = ?2 WHERE client_id = ?1 AND seen_us < ?2

-- name: note_event
INSERT INTO sightings (client_id, seen_us, event_us, version)
SELECT client_id, ?3, ?3, ?4 FROM devices WHERE user_id = ?1 AND device_id = ?2 AND removed_us IS NULL
ON CONFLICT (client_id) DO UPDATE
SET seen_us = CASE WHEN sightings.seen_us > ?3 THEN sightings.seen_us ELSE ?3 END,
event_us = CASE WHEN sightings.event_us > ?3 THEN sightings.event_us ELSE ?3 END,
version = coalesce(?4, sightings.version)

-- name: sighting
SELECT client_id, connected_us, seen_us, address, protocol, event_us, version FROM sightings WHERE client_id = ?

-- name: sightings
SELECT client_id, connected_us, seen_us, address, protocol, event_us, version FROM sightings
