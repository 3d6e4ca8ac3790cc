"""How each provider tells us of news: whether it is the provider, what it says, how it is asked to send."""
