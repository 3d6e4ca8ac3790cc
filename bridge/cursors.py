"""Where readers of the log are, on its way into the log: what moved is written, and nothing else."""

from bridge.ports import Chores


class Cursors:
    """The places of the readers under one prefix.

    A place counts as kept when the commit that holds it is durable, and one write is on its way at a time: a log that
    takes none for an hour gets one write after it.
    """

    def __init__(self, chores: Chores, prefix: str = "") -> None:
        self._chores = chores
        self._prefix = prefix
        self._moved: dict[str, int | None] = {}
        self._writing = False

    def move(self, name: str, seq: int) -> None:
        """A reader has come this far."""
        self._moved[name] = seq

    def drop(self, name: str) -> None:
        """Nobody of this name reads any more."""
        self._moved[name] = None

    def keep(self) -> None:
        """Write what moved with the next commit."""
        if not self._moved or self._writing:
            return
        cursors = {self._prefix + name: seq for name, seq in self._moved.items()}
        self._moved = {}
        self._writing = True
        self._chores.add(lambda journal: journal.keep_cursors(cursors), self._kept)

    def _kept(self) -> None:
        self._writing = False
