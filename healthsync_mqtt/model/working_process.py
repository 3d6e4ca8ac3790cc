"""A process that works on a log that several share: what it says of itself there, and what others make of that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from healthsync_mqtt.model.times import iso

TOLD_EVERY_S: Final = 5.0
"""So often a process says how it is."""
GONE_AFTER_S: Final = 15.0
"""One that has said nothing for so long is taken for gone."""
KEPT_S: Final = 3600
"""So long one that is gone, or has ended, is still shown."""
MOST_PROCESSES: Final = 1_000
"""Of more than these the ones that were seen last are kept."""


class ProcessKind(StrEnum):
    """What it is."""

    bridge = "bridge"
    gateway = "gateway"


class ProcessState(StrEnum):
    """How it is, as far as others know."""

    running = "running"
    #: it said that it ends
    ended = "ended"
    #: it says nothing any more
    gone = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessName:
    """Which one: a later run of the same program for the same data directory on the same host is the same one."""

    kind: ProcessKind
    name: str
    """A bridge's id, or a gateway's client id."""
    host: str
    data: str
    release: str
    started_us: int
    home: bool = False
    """Whether days, insights and erasures are its work, wherever it has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingProcess:
    """One as the log knows it. ``age_s``: so long ago it was heard of, by the server's clock."""

    process: ProcessName
    seen_us: int
    age_s: float
    ended: bool
    leads: bool
    ships: bool
    figures: Mapping[str, int] = field(default_factory=dict)

    @property
    def state(self) -> ProcessState:
        """How it is."""
        if self.ended:
            return ProcessState.ended
        return ProcessState.gone if self.age_s > GONE_AFTER_S else ProcessState.running

    @property
    def does(self) -> list[str]:
        """What it does for the whole installation now: ``publish``, ``sinks``, ``insights``."""
        at_home = self.process.home and self.state is ProcessState.running
        return [
            *(["publish"] if self.leads else []),
            *(["sinks"] if self.ships else []),
            *(["insights"] if at_home else []),
        ]

    def as_json(self) -> dict[str, Any]:
        """As ``status --json`` has it."""
        who = self.process
        return {
            "kind": who.kind.value,
            "name": who.name,
            "host": who.host,
            "data": who.data,
            "release": who.release,
            "state": self.state.value,
            "does": self.does,
            "started_at": iso(who.started_us),
            "seen_at": iso(self.seen_us),
            "age_s": round(self.age_s, 1),
            **self.figures,
        }
