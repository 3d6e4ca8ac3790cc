"""Sealing an older log while the service runs: one step with each commit, asked for from outside."""

from typing import Final

from bridge.ports import Chores
from bridge.stages.journal import Journal
from healthsync_mqtt.keys.faults import KeyUnavailableError

MOST_ROWS: Final = 1_000
"""Rows of one step: some 20 ms of the commit that they go with."""


async def seal_older(chores: Chores, rows: int) -> int:
    """Seal so many rows with the next commit; how many are left when it is durable. KeyUnavailableError: not now."""
    step = _Step(min(rows, MOST_ROWS))
    await chores.durable(step)
    if step.refused is not None:
        raise step.refused
    return step.left


class _Step:
    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.left = 0
        self.refused: KeyUnavailableError | None = None

    def __call__(self, journal: Journal) -> None:
        # Refused, it has changed nothing, and the commit is everybody's.
        try:
            self.left = journal.seal_older(self._rows)
        except KeyUnavailableError as error:
            self.refused = error
