"""Who asked for what to be shown, as the registry has it. Read in a thread, again and again."""

from healthsync_mqtt.identity.people.dashboards import Dashboard
from healthsync_mqtt.identity.registry import Registry


class OptIns:
    """The opt-ins of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self.close = registry.close

    def read(self) -> list[Dashboard] | None:
        """All of it, where the registry has changed since the last reading; else None."""
        generation = self._registry.generation()
        if generation == self._generation:
            return None
        found = self._registry.dashboards.all()
        self._generation = generation
        return found
