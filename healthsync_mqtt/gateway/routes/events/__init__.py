"""Routes of events, in and out, and of what follows from them."""
