"""What users agreed to: decisions as values, and their history."""
