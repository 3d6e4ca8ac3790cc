"""What provider modules map with: tables of fields, the reading of one answer, and what is remembered between two."""
