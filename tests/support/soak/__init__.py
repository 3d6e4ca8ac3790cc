"""Faults under load: kill -9, SIGSTOP, a full disk; a history checker decides."""
