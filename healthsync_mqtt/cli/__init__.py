"""The command line: noun verb, ``--json`` everywhere, errors that end with the fix."""
