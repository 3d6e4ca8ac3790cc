"""Backups of a data directory: sets of files in a place of their own, made while the service runs, and put back."""
