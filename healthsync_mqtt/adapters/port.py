"""The port of an adapter: what a module's ``register()`` returns."""

from dataclasses import dataclass
from typing import Protocol

from healthsync_mqtt.adapters.capability import Capability
from healthsync_mqtt.adapters.cloud import Cloud
from healthsync_mqtt.formats.port import Format


class Mapping(Format, Protocol):
    """A format whose messages are a provider's answers: the kind of the answer is the first level of the topic.

    What follows it is what the question was about, where the answer does not say: ``streams/activities/17``. A mapping
    knows nothing of storage, MQTT or HTTP. It raises RefusedError for an answer of which nothing can be told, and
    nothing else, whatever JSON it is given; what it leaves out it names.
    """

    @property
    def kind_names(self) -> tuple[str, ...]:
        """The kinds of answers that it reads, for people."""
        ...

    def knows(self, kind: str) -> bool:
        """Whether a kind is one of them, also by another name of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One provider.

    ``mapping`` turns its answers into events; None where another part of the program reads what comes (an app's
    format), or nothing comes any more. ``cloud`` is where it is asked, and for what; None where nothing is asked for.
    """

    capability: Capability
    mapping: Mapping | None = None
    cloud: Cloud | None = None

    @property
    def name(self) -> str:
        """Its name, which is in topics."""
        return self.capability.name

    @property
    def types(self) -> tuple[str, ...]:
        """The types of events that it brings."""
        return () if self.mapping is None else tuple(sorted({entry.type for entry in self.mapping.takes()}))
