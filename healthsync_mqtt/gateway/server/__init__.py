"""The HTTP server: who may connect, where a request comes from, what is counted and traced of it."""
