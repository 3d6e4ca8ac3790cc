"""What is retained for dashboards: two topics a key, what the broker has there, and what is under way."""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

from bridge.ports import Shelf
from healthsync_mqtt.homeassistant.file import EMPTY, Shown
from healthsync_mqtt.homeassistant.latest import ValueKey
from healthsync_mqtt.topics.registry import TopicRegistry

UNKNOWN: Final = Shown(None, None)


class Exhibit(NamedTuple):
    """What is to be retained for a key: its discovery and its state; two empty ones: nothing."""

    config: bytes
    state: bytes

    @property
    def digests(self) -> Shown:
        """What the broker has when it has this."""
        return Shown(_digest(self.config), _digest(self.state))


NOTHING: Final = Exhibit(b"", b"")


class Display:
    """``shown`` is what the broker has of each key that ever was shown, and ``changed`` where that is different now.

    A part that is under way is not known until the broker's word, and a word on anything but the last that was
    published is none.
    """

    def __init__(self, shelf: Shelf, registry: TopicRegistry, shown: dict[ValueKey, Shown]) -> None:
        self._shelf = shelf
        self._registry = registry
        self._run = -1
        self._births = shelf.births
        self._sent: dict[ValueKey, Shown] = {}
        self.shown = shown
        self.changed: set[ValueKey] = set()
        #: keys of which the broker did not take something
        self.refused: set[ValueKey] = set()

    @property
    def ready(self) -> bool:
        """Whether something can be published now."""
        return self._shelf.ready

    def renew(self) -> bool:
        """After a start, and after each connection: go by what the broker has now. Whether that was so."""
        shelf = self._shelf
        if shelf.run == self._run:
            return False
        self._run = shelf.run
        if shelf.remembers:
            recall = shelf.recall
            self.shown = {
                key: Exhibit(recall(self._config(key)), recall(self._state(key))).digests for key in self.shown
            }
        elif not shelf.lasting:
            self.shown = dict.fromkeys(self.shown, UNKNOWN)
        return True

    @property
    def asked_again(self) -> bool:
        """Whether a Home Assistant has begun since the last ``tell_again``."""
        return self._shelf.births != self._births

    def tell_again(self) -> None:
        """Whoever has begun may have got nothing of what is retained: publish it again."""
        self._births = self._shelf.births
        self.shown = {key: shown if shown == EMPTY else UNKNOWN for key, shown in self.shown.items()}

    def has(self, key: ValueKey, wanted: Exhibit) -> bool:
        """Whether the broker is known to have this."""
        return self.shown.get(key, EMPTY) == wanted.digests

    def unsure(self, keys: Iterable[ValueKey]) -> set[ValueKey]:
        """The keys of which has to be written down that they are about to change: nobody would know it after a kill."""
        return {key for key in keys if key not in self.shown or not self._shelf.remembers}

    def state_topic(self, key: ValueKey) -> str:
        """Where the states of a key are."""
        return self._state(key)

    def send(self, key: ValueKey, wanted: Exhibit) -> bool:
        """Retain what is different, the discovery first; False when the broker takes nothing now."""
        config, state = wanted.digests
        shown = self.shown.setdefault(key, EMPTY)
        return (shown.config == config or self._retain(key, "config", self._config(key), wanted.config, config)) and (
            shown.state == state or self._retain(key, "state", self._state(key), wanted.state, state)
        )

    def forget(self, key: ValueKey) -> None:
        """The key is shown no more."""
        self.shown.pop(key, None)
        self._sent.pop(key, None)

    def _retain(self, key: ValueKey, part: str, topic: str, payload: bytes, digest: bytes | None) -> bool:
        before, sent = self.shown[key], self._sent.get(key, UNKNOWN)
        self.shown[key], self._sent[key] = before._replace(**{part: None}), sent._replace(**{part: digest})
        if self._shelf.retain(topic, payload, self._settles(key, part, digest)):
            return True
        self.shown[key], self._sent[key] = before, sent
        return False

    def _settles(self, key: ValueKey, part: str, digest: bytes | None) -> Callable[[bool], None]:
        run = self._shelf.run

        def settled(taken: bool) -> None:  # noqa: FBT001
            if run != self._shelf.run or getattr(self._sent.get(key, UNKNOWN), part) != digest:
                return  # it was published again since
            if not taken:
                self.refused.add(key)
                return
            self.shown[key] = self.shown.get(key, UNKNOWN)._replace(**{part: digest})
            self.changed.add(key)

        return settled

    def _config(self, key: ValueKey) -> str:
        return self._registry.build("homeassistant_config", user=key.user, type=key.type)

    def _state(self, key: ValueKey) -> str:
        return self._registry.build("latest", user=key.user, type=key.type)


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=16).digest() if payload else b""
