"""What several tests, scripts/bench and scripts/soak share."""
