"""What happens to a delivery, one file a stage; ``pipeline`` alone knows their order."""
