"""The running service as other processes of its machine see it: where it listens, and the channel of its admins."""
