"""How a client proves who it is, and how it gets the credentials for it."""
