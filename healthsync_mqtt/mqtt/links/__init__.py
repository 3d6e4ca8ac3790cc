"""MQTT connections as a client."""
