"""What a running service looks at again and again."""
