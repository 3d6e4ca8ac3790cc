"""Changes of the registry at the word of a caller, and the installation they are made in."""
