"""What a running service says about itself: the answer to ``healthsync status --json``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerReport:
    """Which broker, and whether the bridge is connected with it; the embedded one always is."""

    mode: Literal["embedded", "external"]
    connected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalReport:
    """Whether the last commit worked, and for how many seconds one has been under way."""

    working: bool
    commit_running_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeReport:
    """What only the side towards the broker knows; None where there is no such thing on this broker."""

    connected: bool
    connections: int
    crowd: Mapping[str, int] | None = None
    sessions: Mapping[str, int] | None = None
    limited: Sequence[Mapping[str, Any]] | None = None
    certificates: Mapping[str, Any] | None = None
    gateway: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """Health, figures, who is slowed down or over a daily limit, and when certificates end (epoch seconds).

    ``storage`` is how the files of the log do: its write-ahead log, checkpoints, who holds it, its anchor.
    ``sessions`` says whether what clients are owed can be written, and what was dropped or begun anew.
    ``tasks_down`` names the background tasks that do not do their work now. ``clock_ahead_s``: so far ahead is a clock
    that is not believed; nothing is purged by it. ``gateway``: state of the HTTP gateway, and what it said last.
    ``erasures``: those that are not complete, here or at sinks: since when, which step is next, who has to confirm.
    ``installation``: the bridges that share the log, which of them leads, which runs the sinks, and whether this may.
    ``spans``: how many a collector has taken, and how many were dropped.
    ``backup``: the schedule's state, the age of the newest set, and what the last process said.
    """

    running: bool = True
    pid: int
    version: str
    healthy: bool
    broker: BrokerReport
    journal: JournalReport
    uptime_s: float
    epoch: str
    head: int
    counters: Mapping[str, Any]
    connections: int
    subscriber_lag: int
    subscriber_lag_s: float = 0.0
    sinks: Sequence[Mapping[str, Any]]
    storage: Mapping[str, Any]
    tasks_down: tuple[str, ...] = ()
    clock_ahead_s: int = 0
    crowd: Mapping[str, int] | None = None
    sessions: Mapping[str, int] | None = None
    limited: Sequence[Mapping[str, Any]] | None = None
    over_daily_limit: Sequence[Mapping[str, Any]] | None = None
    certificates: Mapping[str, Any] | None = None
    gateway: Mapping[str, Any] | None = None
    backup: Mapping[str, Any] | None = None
    erasures: Sequence[Mapping[str, Any]] | None = None
    installation: Mapping[str, Any] | None = None
    spans: Mapping[str, int] | None = None

    def as_json(self) -> dict[str, Any]:
        """As JSON values; what this broker has not is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None} | {
            "tasks_down": list(self.tasks_down)
        }
