"""One writer: an exclusive lock on a file in the data directory, held as long as the writer lives."""

import fcntl
import os
from pathlib import Path

from healthsync_mqtt.errors import UnavailableError


class WriterLock:
    """The lock of one data directory. The kernel releases it when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        """Take the lock and write this process's id into it; UnavailableError when it cannot be had."""
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnavailableError(
                f"the data directory {path.parent} cannot be written: {error.strerror}",
                hint=f"create it, owned by the user of the service: mkdir -m 700 {path.parent}",
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise UnavailableError(
                f"another writer has the event log in {path.parent}",
                hint=f"stop the process with pid {holder} first, or use another data directory",
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode("ascii"), 0)

    def release(self) -> None:
        """Give the lock back. Idempotent. The file stays: removing it would let two writers lock two files."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
