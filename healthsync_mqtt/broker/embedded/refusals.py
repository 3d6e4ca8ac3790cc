"""What was refused lately, and why: a few of the newest refusals of each client, for whoever asks. Pure."""

from collections import OrderedDict, deque
from typing import Final, NamedTuple

_CLIENTS: Final = 1_000
_EACH: Final = 10
_TOPIC: Final = 128


class RefusedMessage(NamedTuple):
    """A message that went nowhere: when (epoch seconds), why, and on which topic, cut to 128 characters."""

    at: float
    reason: str
    topic: str


class Refusals:
    """Bounded in clients and in refusals of each; who was refused longest ago is forgotten first."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, deque[RefusedMessage]] = OrderedDict()

    def note(self, client_id: str, at: float, reason: str, topic: str) -> None:
        """Remember a refusal."""
        newest = self._newest.setdefault(client_id, deque(maxlen=_EACH))
        newest.append(RefusedMessage(at, reason, topic[:_TOPIC]))
        self._newest.move_to_end(client_id)
        if len(self._newest) > _CLIENTS:
            self._newest.popitem(last=False)

    def of(self, client_id: str) -> tuple[RefusedMessage, ...]:
        """A client's refusals, oldest first."""
        return tuple(self._newest.get(client_id, ()))

    def report(self) -> dict[str, list[dict[str, object]]]:
        """All of them by client id, as values for JSON."""
        return {client_id: [each._asdict() for each in newest] for client_id, newest in self._newest.items()}
