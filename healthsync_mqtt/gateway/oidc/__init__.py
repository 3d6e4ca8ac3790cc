"""An organisation's login: its provider, a round with it, and the token at its end."""
