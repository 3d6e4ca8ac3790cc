"""What one process at a time does with a directory: whose turn it is says a lock on a file, and nobody waits for it."""

import fcntl
import os
from pathlib import Path


class FileTurn:
    """Whoever has the lock. The kernel gives it back when the process dies, however it dies."""

    def __init__(self, lock: Path) -> None:
        self._lock = lock
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether it is ours, from before or from now on. OSError: nobody can tell."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._descriptor = descriptor
        return True

    def leave(self) -> None:
        """Let another one have it. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
