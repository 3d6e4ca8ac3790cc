"""What clients and strangers cause to be said: lines of the log, some of each kind in a while, and who was turned away.

Whoever comes to the door can cause them as often as it likes, so each is bounded here and nowhere else.
"""

import time
from collections.abc import Callable
from typing import Final

from healthsync_mqtt.broker.embedded.limits.addresses import network
from healthsync_mqtt.broker.embedded.limits.strangers import Strangers
from healthsync_mqtt.broker.embedded.ports import Client
from healthsync_mqtt.broker.embedded.wire import Tongue
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices

log = get_logger("door")

_WRONG_PROTOCOL: Final = frozenset(map(str, Tongue))
_EACH: Final = 5
"""Lines of one kind, and for one reason, that a client or a stranger's address causes in ten seconds."""


class Visitors:
    """Lines about who comes to the door."""

    def __init__(self, counters: Counters, clock: Callable[[], float]) -> None:
        self._counters = counters
        self._clock = clock
        self._notices = Notices()
        self.strangers = Strangers()

    def refused(self, event: str, client: Client, reason: str, **what: object) -> None:
        """Something of a client's is not taken: a line by who it is and ``reason``."""
        who = network(client.peer) if client.login is None else client.login.principal.client_id
        if client.login is None and event == "door.protocol_violation":
            self.turned_away(reason, client.peer)
        self.warn(event, f"{who} {reason}", _EACH, reason=reason, peer=client.peer, **what)

    def told(self, event: str, client: Client, client_id: str, **what: object) -> None:
        """Something that a client did in good order: a line by its client id."""
        left_out = self._notices.due((event, client_id), time.monotonic(), _EACH)
        if left_out is not None:
            log.info(event, client_id=client_id, peer=client.peer, left_out=left_out, **what)

    def warn(self, event: str, key: str, burst: int = 1, **what: object) -> None:
        """A line that strangers can cause: ``burst`` of them for each ``key`` once in a while."""
        left_out = self._notices.due((event, key), time.monotonic(), burst)
        if left_out is not None:
            log.warning(event, left_out=left_out, **what)

    def turned_away(self, reason: str, peer: str) -> None:
        """Somebody at this address never came to say who it is."""
        if reason in _WRONG_PROTOCOL:
            self._counters.refuse_connection("wrong_protocol")
        self.strangers.note(str(reason), peer, int(self._clock() * 1_000_000))
