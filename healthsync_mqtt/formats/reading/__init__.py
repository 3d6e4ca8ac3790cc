"""What formats read with: documents, moments, amounts; and the event that comes of it."""
