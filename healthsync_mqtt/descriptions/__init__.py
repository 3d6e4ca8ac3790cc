"""What an installation tells of itself: one model each, that commands print as JSON and the API answers."""
