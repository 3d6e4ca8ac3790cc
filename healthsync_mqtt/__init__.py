"""HealthSync MQTT: health data from devices over MQTT into one durable, per-user event log."""

__version__ = "0.1.0"
