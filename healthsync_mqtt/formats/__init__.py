"""Other people's payloads as events, one format a module."""
