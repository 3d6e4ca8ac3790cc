"""Which sources users prefer, as the registry has it. Read in a thread, again and again."""

from collections.abc import Mapping

from healthsync_mqtt.identity.registry import Registry


class Preferences:
    """The preferences of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self.close = registry.close

    def read(self) -> Mapping[str, tuple[str, ...]] | None:
        """All of them by user, the best first, where the registry has changed since the last reading; else None."""
        generation = self._registry.generation()
        if generation == self._generation:
            return None
        found = self._registry.sources.all()
        self._generation = generation
        return found
