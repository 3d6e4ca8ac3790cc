"""Adapters: what clouds hold of a user, fetched and published as events on the user's own topics."""
