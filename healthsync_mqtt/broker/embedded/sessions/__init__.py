"""What a client is owed and listens to, connected or not."""
