"""Settings, and the private files they live among."""
