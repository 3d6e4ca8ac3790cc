-- name: note_login
INSERT INTO sightings (client_id, connected_us, seen_us, address, protocol)
SELECT ?1, ?2, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM devices WHERE client_id = ?1 AND removed_us IS NULL)
    OR EXISTS (SELECT 1 FROM subscribers WHERE name = ?1 AND removed_us IS NULL)
ON CONFLICT (client_id) DO UPDATE
SET connected_us = ?2, seen_us = max(seen_us, ?2), address = ?3, protocol = ?4

-- name: note_seen
UPDATE sightings SET seen_us = max(seen_us, ?2) WHERE client_id = ?1

-- name: note_event
INSERT INTO sightings (client_id, seen_us, event_us, version)
SELECT client_id, ?3, ?3, ?4 FROM devices WHERE user_id = ?1 AND device_id = ?2 AND removed_us IS NULL
ON CONFLICT (client_id) DO UPDATE
SET seen_us = max(seen_us, ?3), event_us = max(coalesce(event_us, 0), ?3), version = coalesce(?4, version)

-- name: sighting
SELECT client_id, connected_us, seen_us, address, protocol, event_us, version FROM sightings WHERE client_id = ?

-- name: sightings
SELECT client_id, connected_us, seen_us, address, protocol, event_us, version FROM sightings
