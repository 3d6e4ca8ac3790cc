"""Users, devices, subscribers and admins: registry.db."""
