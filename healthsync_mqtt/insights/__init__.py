"""What a user's recent days tell: modules of pure functions, and the process that asks them again when days change."""
