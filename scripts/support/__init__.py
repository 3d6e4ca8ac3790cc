"""What the commands beside this package need in Python."""
