"""Where the bridge's messages go, without a broker, for tests: a list, of what somebody listens to."""

from healthsync_mqtt.topics.grammar import matches


class MemoryOutlet:
    """``bridge.ports.Outlet``. Everybody listens, unless ``ears`` names the filters of who does."""

    def __init__(self, ears: set[str] | None = None, *, room: int = 65_536) -> None:
        self.ears = ears
        #: topic and payload of what went out, in order
        self.messages: list[tuple[str, bytes]] = []
        self._room = room

    def listening(self, topic: str) -> bool:
        """Whether an ear is for it."""
        return self.ears is None or any(matches(ear, topic) for ear in self.ears)

    def room(self, topic: str) -> int:  # noqa: ARG002
        """The same for every topic."""
        return self._room

    def send(self, topic: str, payload: bytes) -> bool:
        """Note it, where somebody listens."""
        if len(payload) > self._room:
            return False
        if self.listening(topic):
            self.messages.append((topic, payload))
        return True
