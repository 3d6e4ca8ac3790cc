"""A device for as long as it is wanted: connected again whenever it comes back."""

import logging
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from healthsync_mqtt.ble.faults import PeripheralAwayError, PeripheralSilentError, RadioUnavailableError
from healthsync_mqtt.ble.profile import Peripheral
from healthsync_mqtt.ble.radio import Radio
from healthsync_mqtt.ble.session import Clock, Deliver, HeardTally, ListeningTerms, PeripheralSession
from healthsync_mqtt.client.backoff import Backoff
from healthsync_mqtt.client.backoff import Clock as Waiting

_LOG = logging.getLogger("healthsync_mqtt.ble")
BACKOFF: Final = Backoff(first=1.0, longest=15.0)
"""A scale is awake for half a minute: who waits longer than that between two looks does not meet it."""

Say = Callable[[str], None]


class PeripheralWatch:
    """One device; what it says is delivered until the task that runs this is cancelled."""

    def __init__(
        self,
        radio: Radio,
        told: Peripheral,
        wanted: ListeningTerms,
        *,
        within_s: float,
        pair: bool,
        clock: Clock,
        waiting: Waiting,
        say: Say,
        rng: Random | None = None,
    ) -> None:
        self._radio = radio
        self._told = told
        self._wanted = wanted
        self._within_s = within_s
        self._pair = pair
        self._clock = clock
        self._waiting = waiting
        self._say = say
        self._rng = rng or Random()  # noqa: S311  # spreads looks; nothing secret

    async def run(self, deliver: Deliver, tally: HeardTally) -> None:
        """Never returns by itself. Raises what no waiting mends: PairingNeededError, NothingToReadError, UsageError."""
        failures = 0
        away = False
        while True:
            try:
                async with self._radio.connect(self._told.address, within_s=self._within_s, pair=self._pair) as found:
                    self._say(f"{self._told.address} is connected")
                    away, failures = False, 0
                    session = PeripheralSession(found, self._told, self._wanted, self._clock, tally)
                    try:
                        await session.run(deliver)
                    finally:
                        self._wanted = replace(self._wanted, newest=session.newest)
                self._say(f"{self._told.address} has hung up")
                away = True
            except (PeripheralAwayError, PeripheralSilentError, RadioUnavailableError) as error:
                # Said once when it begins: most devices sleep nearly always.
                (_LOG.debug if away else _LOG.warning)("ble.away %s", error)
                if not away:
                    self._say(f"{error}; waiting for it")
                away = True
            failures += 1
            await self._waiting.sleep(BACKOFF.delay(failures, self._rng))
