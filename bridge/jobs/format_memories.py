"""What formats remember of types that may not be stored any more goes when consent does, and not at the next message.

A message that is under way asks for consent when it is committed, and its state takes the place of what there is. So a
device of which one is under way is looked at again after it.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from bridge.folds import Folds
from bridge.ports import Chores
from bridge.stages.consent import ConsentGate
from bridge.stages.journal import Journal
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Divisible
from healthsync_mqtt.storage.port import FormatMemory, LogReader
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

FORGET_S: Final = 0.25
_USERS_A_LOOK: Final = 100
_EVERYBODY_S: Final = 3_600.0
"""Seconds between two looks at everybody: consent that ends at its date is no change of anything."""


class FormatMemories:
    """``look`` is called again and again, the first time for everybody."""

    def __init__(
        self,
        gate: ConsentGate,
        folds: Folds,
        reader: LogReader,
        chores: Chores,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gate = gate
        self._folds = folds
        self._reader = reader
        self._chores = chores
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._everybody_at = float("-inf")
        #: users that are to be looked at
        self._due: dict[str, None] = {}

    async def look(self) -> None:
        """Look at those whose consent has changed. StoreError: they are looked at again."""
        self._due |= dict.fromkeys(sorted(self._gate.storing_changed()))
        if self._monotonic_s() >= self._everybody_at + _EVERYBODY_S:
            self._due |= dict.fromkeys(self._reader.format_users())
            self._everybody_at = self._monotonic_s()
        waits: dict[str, None] = {}
        for user in list(self._due)[:_USERS_A_LOOK]:
            for memory in self._reader.format_states(user):
                if self._folds.is_busy(memory.user, memory.device, memory.form):
                    waits[user] = None
                    continue
                left = self._left(memory)
                if left != memory.state:
                    self._chores.add(partial(_remember, memory._replace(state=left)))
                    log.info("bridge.forgotten", user=user, device=memory.device, form=memory.form)
            del self._due[user]
        self._due |= waits

    def _left(self, memory: FormatMemory) -> bytes:
        """What may be remembered of it now."""
        form, state, now_us = FORMATS.get(memory.form), memory.state or b"", self._clock_us()
        about: frozenset[str] = frozenset()
        if form is not None:
            about = form.holds(state) if isinstance(form, Divisible) else form.remembers
        lacking = frozenset(each for each in about if not self._gate.keeps(memory.user, each, now_us))
        if lacking:
            return form.without(state, lacking) if isinstance(form, Divisible) else b""
        if not about and not self._gate.keeps_anything(memory.user, now_us):
            return b""  # of what it is only the format knew, at the message
        return state


def _remember(memory: FormatMemory, journal: Journal) -> None:
    journal.remember(memory)
