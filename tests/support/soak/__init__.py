"""Faults under load, in time and around the service; a history checker decides."""
