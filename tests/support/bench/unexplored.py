"""``healthsync`` whose log keeps nothing for the explorer, if that is asked for: what it takes is the difference.

``python -m tests.support.bench.unexplored with|without PYTHON -c PROGRAM WORD…`` as a service is started in tests.
"""

import sys
from typing import Any, Final

from healthsync_mqtt.cli.main import main
from healthsync_mqtt.storage.sqlite import log, upkeep
from healthsync_mqtt.storage.sqlite.sketches import Sketches

_BEFORE_WORDS: Final = 5


class _NoSketches(Sketches):
    """Of no rows it is kept what they hold inside."""

    def forget(self) -> None:
        super().forget()
        self.gathered = None

    def add_run(self, rows: int) -> None:
        pass

    def add_block(self, block: int, first: int) -> None:
        pass

    def step(self) -> None:
        pass


class _NoCounts(upkeep.Upkeep):
    """Rows are not tallied."""

    @property
    def tally(self) -> None:
        return None

    @tally.setter
    def tally(self, tally: Any) -> None:
        pass


def _nothing(*_block: Any) -> bool:
    return False


def _keep_nothing() -> None:
    log.Sketches = _NoSketches
    log.Upkeep = _NoCounts
    upkeep.count_block = _nothing
    upkeep.count_old_block = _nothing


if __name__ == "__main__":
    if sys.argv[1] == "without":
        _keep_nothing()
    sys.argv[:] = ["healthsync", *sys.argv[_BEFORE_WORDS:]]
    main()
