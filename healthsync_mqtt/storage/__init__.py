"""The event log: an append-only, ordered, durable table of accepted events, and its readers."""
