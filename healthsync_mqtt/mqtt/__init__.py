"""MQTT: the wire format without I/O, and connections as a client."""
