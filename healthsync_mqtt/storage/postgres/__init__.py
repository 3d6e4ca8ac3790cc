"""The event log on PostgreSQL: one log that any number of bridges write."""
