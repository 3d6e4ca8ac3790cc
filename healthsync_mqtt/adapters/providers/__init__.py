"""The providers that come with the program, a module each."""
