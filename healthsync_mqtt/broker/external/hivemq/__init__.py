"""HiveMQ."""
