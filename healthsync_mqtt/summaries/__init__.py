"""What a user's local days come to: the rules (pure), the file that keeps what is needed to apply them again."""
