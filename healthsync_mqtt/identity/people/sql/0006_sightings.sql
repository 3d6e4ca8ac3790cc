-- registry.db, version 6: when each client was last here, from where, and what it said of itself. Newest only, no history.

CREATE TABLE sightings (
    client_id TEXT PRIMARY KEY REFERENCES principals (client_id),
    connected_us INTEGER,           -- its last login on the embedded broker
    seen_us INTEGER NOT NULL,       -- it was connected, or an event of it came
    address TEXT,                   -- of its last login
    protocol TEXT,                  -- MQTT 3.1.1, MQTT 5.0
    event_us INTEGER,               -- its last message with events was dealt with
    version TEXT                    -- what its last event said of the device: "watchos 11.2, app 3.1"
) STRICT, WITHOUT ROWID;
CREATE TRIGGER device_removed_unseen AFTER UPDATE OF removed_us ON devices WHEN NEW.removed_us IS NOT NULL BEGIN
    DELETE FROM sightings WHERE client_id = NEW.client_id;
END;
CREATE TRIGGER subscriber_removed_unseen AFTER UPDATE OF removed_us ON subscribers WHEN NEW.removed_us IS NOT NULL BEGIN
    DELETE FROM sightings WHERE client_id = NEW.name;
END;
