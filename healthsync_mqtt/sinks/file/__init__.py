"""A folder of NDJSON files as a sink."""
