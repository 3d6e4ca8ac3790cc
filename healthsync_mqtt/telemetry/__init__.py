"""What the program says about itself: a structured log without secrets, and counters that balance."""
