"""Connections that the gateway makes: to the broker, and to public addresses."""
