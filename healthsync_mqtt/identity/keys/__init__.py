"""Signing keys: as values, and on disk."""
