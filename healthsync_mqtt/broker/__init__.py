"""Brokers: the embedded one, and what an external one needs."""
