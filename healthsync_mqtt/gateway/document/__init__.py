"""The document of the API, and its page for people."""
