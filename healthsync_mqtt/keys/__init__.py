"""Data keys: one of 256 bits for each user, wrapped by an outer key that a provider holds."""
