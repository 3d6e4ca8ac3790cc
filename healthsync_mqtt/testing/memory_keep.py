"""What keeps sessions, without a file, for tests: as long as its ``MemoryRecord`` is held, whoever opens it."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from healthsync_mqtt.broker.embedded.sessions.port import KeptSession, KeptWill, OwedMessage, Subscribed
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.model.principal import Principal


@dataclass
class MemoryRecord:
    """What one service after the other keeps: what a file is to ``sessions.store.SessionStore``."""

    sessions: dict[int, KeptSession] = field(default_factory=dict)
    retained: dict[str, Retained] = field(default_factory=dict)
    wills: dict[int, KeptWill] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))


class MemoryKeep:
    """``sessions.port.Keep``: everything lasts from the moment that it was said."""

    def __init__(self, record: MemoryRecord, clock: Callable[[], float] = time.monotonic) -> None:
        self._record = record
        self._clock = clock
        self._found = [_copy(kept) for kept in record.sessions.values()]
        self._retained = [message._replace(number=0, sender="") for message in record.retained.values()]
        self._wills = dict(record.wills)

    def running(self) -> float:
        """Seconds of the clock."""
        return self._clock()

    def sessions(self) -> Sequence[KeptSession]:
        """What the record had at the beginning; once."""
        found, self._found = self._found, []
        return found

    def retained(self) -> Sequence[Retained]:
        """The same of retained messages."""
        found, self._retained = self._retained, []
        return found

    def wills(self) -> Mapping[int, KeptWill]:
        """The same of wills."""
        found, self._wills = self._wills, {}
        return found

    def opened(self, principal: Principal) -> int:
        """A new session; its number."""
        no = next(self._record.numbers)
        self._record.sessions[no] = KeptSession(no, principal, None, {}, {}, [])
        return no

    def changed(self, session: int, principal: Principal, left: float | None, expiry: float | None = None) -> None:
        """Note who it is of, and when its client left."""
        kept = self._record.sessions[session]
        self._record.sessions[session] = kept._replace(principal=principal, left=left, expiry=expiry)

    def dropped(self, session: int) -> None:
        """Forget it."""
        self._record.sessions.pop(session, None)

    def filter(self, session: int, topic_filter: str, kept: Subscribed | None) -> None:
        """Note a filter, or its end."""
        filters = self._record.sessions[session].filters
        if kept is None:
            filters.pop(topic_filter, None)
        else:
            filters[topic_filter] = kept

    def owed(self, session: int, no: int, message: OwedMessage | None) -> None:
        """Note a message, or its end."""
        owed = self._record.sessions[session].owed
        if message is None:
            owed.pop(no, None)
        else:
            owed[no] = message

    def unreleased(self, session: int, packet_id: int, *, waits: bool) -> None:
        """Note a packet id, or its end."""
        kept = self._record.sessions[session]
        others = [each for each in kept.unreleased if each != packet_id]
        self._record.sessions[session] = kept._replace(unreleased=[*others, packet_id] if waits else others)

    def retain(self, topic: str, message: Retained | None) -> None:
        """Note a retained message, or its end."""
        self._record.retained.pop(topic, None)
        if message is not None:
            self._record.retained[topic] = message

    def will(self, no: int, will: KeptWill | None) -> None:
        """Note a will, or its end."""
        if will is None:
            self._record.wills.pop(no, None)
        else:
            self._record.wills[no] = will

    def durable(self, then: Callable[[], None]) -> None:
        """At once."""
        then()

    def scrubbed(self, then: Callable[[], None]) -> None:
        """At once: there is no file."""
        then()


def _copy(kept: KeptSession) -> KeptSession:
    return kept._replace(filters=dict(kept.filters), owed=dict(kept.owed), unreleased=list(kept.unreleased))
