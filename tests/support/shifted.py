"""A wall clock of a process that a test moves while it runs: NTP, an administrator, a battery that was empty."""

import struct
from pathlib import Path

_FOLDER = Path(__file__).parent / "clock"
_NS = 1_000_000_000


class WallClock:
    """What ``time.time`` is in processes started with ``env``, beside the true one; their children are moved too."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.shift(0)

    @property
    def env(self) -> dict[str, str]:
        """Add this to the environment of a process."""
        return {"PYTHONPATH": str(_FOLDER), "HEALTHSYNC_TEST_CLOCK": str(self._file)}

    def shift(self, seconds: float) -> None:
        """Put it so many seconds ahead of the true time, or behind it."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("<q", round(seconds * _NS)))
