"""Consent for a bridge without a front door: the registry is polled, and the gate follows."""

import asyncio
from pathlib import Path

from bridge.stages.consent import ConsentGate
from healthsync_mqtt.identity.consent.decisions import Permissions
from healthsync_mqtt.identity.registry import Registry

_POLL_S = 0.25


class ConsentWatch:
    """Brings ``gate`` up to date with a registry: at once, and then four times a second with ``look``."""

    def __init__(self, registry_db: Path, gate: ConsentGate) -> None:
        self._registry = Registry.open(registry_db)
        self._gate = gate
        self._generation = -1
        #: seconds between two looks
        self.pause_s = _POLL_S
        self._apply(self._read())

    def close(self) -> None:
        """Close the registry."""
        self._registry.close()

    def subscribers(self) -> frozenset[str]:
        """The client ids of all who may read canonical events."""
        roster = self._registry.roster()
        names = {each.principal.client_id for each in roster.subscribers}
        names |= {each.principal.client_id for each in roster.admins}
        return frozenset(names | {each.principal.client_id for each in roster.devices})

    async def look(self) -> None:
        """Read again if the registry has changed. StoreError: what was last read holds."""
        self._apply(await asyncio.to_thread(self._read))

    def _read(self) -> Permissions | None:
        generation = self._registry.generation()
        if generation == self._generation:
            return None
        permissions = self._registry.consent.permissions()
        self._generation = generation  # read before the permissions: at worst they are read once more
        return permissions

    def _apply(self, permissions: Permissions | None) -> None:
        if permissions is not None:
            self._gate.replace(permissions)
