"""The seeded simulator: the real code in one process, on virtual time, with faults that follow from a seed."""
