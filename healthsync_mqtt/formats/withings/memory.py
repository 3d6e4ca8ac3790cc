"""What is remembered of Withings: nights and ECGs of which one answer says a part, and another the rest."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from healthsync_mqtt.formats.port import Gone

LONGEST_NAME: Final = 64
"""Of a device, a night or a signal."""
_MOST_NIGHTS: Final = 60
_MOST_RESULTS: Final = 60


class KnownNight(msgspec.Struct):
    """A night of which the summary is known; or, without ``number``, one of which there are stages alone."""

    device: str
    start_us: int
    number: str = ""
    value: dict[str, Any] = {}  # msgspec copies it
    end_us: int = 0


class _Rows(msgspec.Struct):
    """All that is remembered: newest last."""

    nights: list[KnownNight] = []  # msgspec copies it
    #: what came of ECGs, by the numbers of their signals
    results: dict[str, int] = {}  # msgspec copies it


_decode = msgspec.json.Decoder(_Rows).decode


class WithingsMemory:
    """What is remembered of nights and ECGs, so that two answers about one of them come to one event."""

    def __init__(self, memory: _Rows) -> None:
        self._memory = memory
        self._gone: list[str] = []

    @classmethod
    def remembered(cls, state: bytes) -> "WithingsMemory":
        """What the messages before left."""
        return cls(_decode(state) if state else _Rows())

    @property
    def state(self) -> bytes:
        """To be remembered."""
        memory = self._memory
        if not memory.nights and not memory.results:
            return b""
        nights = memory.nights[-_MOST_NIGHTS:]
        return msgspec.json.encode(_Rows(nights, dict(list(memory.results.items())[-_MOST_RESULTS:])))

    @property
    def types(self) -> frozenset[str]:
        """The types of which something is remembered."""
        held = (("sleep", self._memory.nights), ("ecg", self._memory.results))
        return frozenset(type_ for type_, found in held if found)

    def forget(self, types: frozenset[str]) -> None:
        """Remember nothing of some types."""
        if "sleep" in types:
            self._memory.nights = []
        if "ecg" in types:
            self._memory.results = {}

    def know(self, night: KnownNight) -> None:
        """Remember a summary; stages of it that stand alone are taken back."""
        known = self._find(night.device, night.start_us)
        if known is not None:
            self._memory.nights.remove(known)
            if not known.number:
                self._gone.append(stages_alone(night.device, night.start_us))
        self._memory.nights.append(night)

    def taken_back(self) -> Iterator[Gone]:
        """What stood alone and does no more."""
        gone, self._gone = self._gone, []
        yield from map(Gone, gone)

    def summary(self, device: str, start_us: int) -> KnownNight | None:
        """The summary of a night, by its device and beginning."""
        known = self._find(device, start_us)
        return known if known is not None and known.number else None

    def alone(self, device: str, start_us: int) -> None:
        """Stages of a night stand alone for now."""
        if self._find(device, start_us) is None:
            self._memory.nights.append(KnownNight(device, start_us))

    def heard(self, signal: str, result: int) -> None:
        """What came of an ECG."""
        self._memory.results.pop(signal, None)
        self._memory.results[signal[:LONGEST_NAME]] = result

    def result(self, signal: str) -> int | None:
        """What came of an ECG, where its list came before."""
        return self._memory.results.get(signal[:LONGEST_NAME])

    def _find(self, device: str, start_us: int) -> KnownNight | None:
        return next((each for each in self._memory.nights if (each.device, each.start_us) == (device, start_us)), None)


def stages_alone(device: str, start_us: int) -> str:
    """The name of stages that no summary is known of."""
    return f"stages {start_us // 1_000_000} {device};"
