"""The kinds of insights of the program, a module each."""
