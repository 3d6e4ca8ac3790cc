"""VerneMQ."""
