"""Values only: frozen, no I/O."""
