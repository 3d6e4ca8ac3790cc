"""The event log as it is asked: pages, places, whose events, and what is new."""
