"""A person's assistant (Model Context Protocol): it reads at the gateway with a token, and in no other way."""
