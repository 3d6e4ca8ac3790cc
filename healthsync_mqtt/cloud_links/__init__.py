"""adapters.db, as far as it is known below who fetches: its schema, whose turn a link is, how a link ends."""
