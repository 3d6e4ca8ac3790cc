"""How a server is greeted: the newest manner that it takes, found out once and remembered. Pure."""

from typing import Final, NamedTuple

from healthsync_mqtt.mqtt.links.greeting import method_refused, version_refused

METHOD: Final = "healthsync-token"
"""The authentication method of a HealthSync service: a token in the password, and newer ones by AUTH."""
_ASK_AGAIN_S: Final = 3_600.0


class Manner(NamedTuple):
    """A version of MQTT (4 is 3.1.1), and whether our authentication method is named."""

    version: int
    method: bool = False


BEST: Final = Manner(5, method=True)
PLAIN: Final = Manner(5)
OLD: Final = Manner(4)


class Manners:
    """What one server takes, for the life of a client.

    A refusal in its CONNACK is final. A server that closes the connection at CONNECT may do so for another reason: that
    it took an older manner right after is believed for an hour.
    """

    def __init__(self, best: Manner = BEST) -> None:
        self._best = best
        self._known = best
        self._closed = False
        self._until: float | None = None

    def next(self, now: float) -> Manner:
        """How to greet on the next connection; ``now`` is monotonic."""
        if self._until is not None and now >= self._until:
            self._known, self._until = self._best, None
        self._closed = False
        return self._known

    def refused(self, manner: Manner, code: int) -> Manner | None:
        """The older manner to try because of this CONNACK; None: the code is not about the manner."""
        if manner.method and method_refused(code):
            self._best = PLAIN
            return PLAIN
        if manner.version == 5 and version_refused(code):
            self._best = OLD
            return OLD
        return None

    def closed(self, manner: Manner) -> Manner | None:
        """The older manner to try because the server closed the connection at CONNECT; None: there is none."""
        if manner.version == 5:
            self._closed = True
            return OLD
        return None

    def worked(self, manner: Manner, now: float) -> None:
        """The server understood this one, whatever it answered."""
        self._known = manner
        self._until = now + _ASK_AGAIN_S if self._closed else self._until
