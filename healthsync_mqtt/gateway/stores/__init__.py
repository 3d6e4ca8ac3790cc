"""Readers of the stores, a few at a time, beside the loop."""
