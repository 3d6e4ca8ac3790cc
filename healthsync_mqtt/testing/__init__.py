"""Public fakes, factories and fault injection for tests of this package and of programs that use it."""
