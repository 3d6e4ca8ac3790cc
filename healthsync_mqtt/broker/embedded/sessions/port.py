"""What lasts of sessions beyond a run of the service: the values, and the port of what keeps them. No I/O."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.model.principal import Principal


class OwedMessage(NamedTuple):
    """A message of QoS 1 or 2 that a session's client has not acknowledged; ``packet_id`` 0: it was not sent yet."""

    topic: bytes
    payload: bytes
    qos: int
    retain: bool
    packet_id: int = 0
    completing: bool = False
    #: of MQTT 5: properties, the running time at which it expires (0: never), subscription identifiers
    about: bytes = b""
    expires: float = 0.0
    identifiers: tuple[int, ...] = ()


class Subscribed(NamedTuple):
    """A filter with its granted QoS; ``replaying``: what is retained for it has not been sent to the end."""

    qos: int
    replaying: bool = False
    #: of MQTT 5: the options beside the QoS, and the subscription identifier (0: none)
    options: int = 0
    identifier: int = 0

    @property
    def granted(self) -> GrantedQos:
        """What was granted."""
        return GrantedQos.of(self.options | self.qos, self.identifier)


def subscribed(granted: GrantedQos, *, replaying: bool = False) -> Subscribed:
    """A filter to which this was granted."""
    return Subscribed(int(granted), replaying, granted.options - granted, *granted.identifiers)


class KeptSession(NamedTuple):
    """A session as it was when the service ended. ``left`` in seconds of running time; None: it was connected."""

    no: int
    principal: Principal
    left: float | None
    filters: dict[str, Subscribed]
    owed: dict[int, OwedMessage]
    unreleased: Sequence[int]
    #: seconds that it is kept when its client is away; None: as long as any
    expiry: float | None = None


class KeptWill(NamedTuple):
    """A will as it is published at ``due`` (running time), if its client is not back before."""

    principal: Principal
    due: float
    topic: str
    payload: bytes
    qos: int
    retain: bool
    #: properties as in ``Message``, and for how many seconds it is good from when it is published (None: for ever)
    about: bytes = b""
    lives_s: int | None = None


class Keep(Protocol):
    """Keeps what sessions say. Each call returns at once; ``durable`` says when all so far is written."""

    def running(self) -> float:
        """Seconds that the service has run, all runs together; no clock that is set changes it."""

    def sessions(self) -> Sequence[KeptSession]:
        """What an earlier run left; once, at the start."""

    def retained(self) -> Sequence[Retained]:
        """The same of retained messages."""

    def wills(self) -> Mapping[int, KeptWill]:
        """The same of wills that wait, by their number."""

    def opened(self, principal: Principal) -> int:
        """A new session; its number."""

    def changed(self, session: int, principal: Principal, left: float | None, expiry: float | None = None) -> None:
        """The session's client has come, or left at this time; ``expiry`` as in ``KeptSession``."""

    def dropped(self, session: int) -> None:
        """The session and all it had is gone."""

    def filter(self, session: int, topic_filter: str, kept: Subscribed | None) -> None:
        """A filter as it is now; None: gone."""

    def owed(self, session: int, no: int, message: OwedMessage | None) -> None:
        """A message as it is now; None: acknowledged, or given up."""

    def unreleased(self, session: int, packet_id: int, *, waits: bool) -> None:
        """Whether a QoS 2 message of the client waits for its release."""

    def retain(self, topic: str, message: Retained | None) -> None:
        """The retained message of a topic; None: it has none."""

    def will(self, no: int, will: KeptWill | None) -> None:
        """A will that waits, by its number; None: it was published, or is not to be."""

    def durable(self, then: Callable[[], None]) -> None:
        """Call ``then`` on the event loop when everything said so far is on disk."""

    def scrubbed(self, then: Callable[[], None]) -> None:
        """The same, and nothing of what is gone by then is in any file."""


class KeepNothing:
    """Sessions that last as long as the process."""

    def __init__(self) -> None:
        self._last = 0

    def running(self) -> float:
        """Seconds of the process's own clock."""
        return time.monotonic()

    def sessions(self) -> Sequence[KeptSession]:
        """None."""
        return ()

    def retained(self) -> Sequence[Retained]:
        """None."""
        return ()

    def wills(self) -> Mapping[int, KeptWill]:
        """None."""
        return {}

    def opened(self, principal: Principal) -> int:  # noqa: ARG002
        """A number of its own."""
        self._last += 1
        return self._last

    def changed(self, session: int, principal: Principal, left: float | None, expiry: float | None = None) -> None:
        """Nothing."""

    def dropped(self, session: int) -> None:
        """Nothing."""

    def filter(self, session: int, topic_filter: str, kept: Subscribed | None) -> None:
        """Nothing."""

    def owed(self, session: int, no: int, message: OwedMessage | None) -> None:
        """Nothing."""

    def unreleased(self, session: int, packet_id: int, *, waits: bool) -> None:
        """Nothing."""

    def retain(self, topic: str, message: Retained | None) -> None:
        """Nothing."""

    def will(self, no: int, will: KeptWill | None) -> None:
        """Nothing."""

    def durable(self, then: Callable[[], None]) -> None:
        """At once."""
        then()

    def scrubbed(self, then: Callable[[], None]) -> None:
        """At once."""
        then()
