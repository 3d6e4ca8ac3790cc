"""Consent for a bridge without a front door: the registry is polled, and the gate follows; what apps declare, too.

Who may connect is the broker's to say there. Who of them may send the bridge looks at itself, as the registry has it.
"""

import asyncio
from pathlib import Path

from bridge.stages.consent import ConsentGate
from healthsync_mqtt.identity.consent.book import Amendment
from healthsync_mqtt.identity.consent.decisions import NOBODY
from healthsync_mqtt.identity.people.senders import SenderChanges
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared

_POLL_S = 0.25


class ConsentWatch:
    """Brings ``gate`` up to date with a registry: at once, and then four times a second with ``look``."""

    def __init__(self, registry_db: Path, gate: ConsentGate, *, only_registered: bool = False) -> None:
        """``only_registered``: devices that the registry does not know may not send; else the broker decides."""
        self._registry = Registry.open(registry_db)
        self._gate = gate
        self._only_registered = only_registered
        self._reading = asyncio.Lock()
        self._generation = -1
        #: seconds between two looks
        self.pause_s = _POLL_S
        fetched = self._registry.consent.fetch()
        self._consents = fetched.newest
        gate.replace(self._registry.consent.settled(fetched))
        self._declarations = self._registry.apps.declarations()
        self._bar(self._registry.senders.fetch(active=only_registered))

    def close(self) -> None:
        """Close the registry."""
        self._registry.close()

    def declared(self, user: str, device: str) -> Declared:
        """What the login of a device says of its messages, as it was last read."""
        return self._declarations.get((user, device), NOTHING_DECLARED)

    def subscribers(self) -> frozenset[str]:
        """The client ids of all who may read canonical events."""
        roster = self._registry.roster()
        names = {each.principal.client_id for each in roster.subscribers}
        names |= {each.principal.client_id for each in roster.admins}
        return frozenset(names | {each.principal.client_id for each in roster.devices})

    async def look(self) -> None:
        """Read again if the registry has changed. StoreError: what was last read holds."""
        async with self._reading:
            amended, senders = await asyncio.to_thread(self._read)
            if senders is not None:
                self._bar(senders)
            if amended.whole:
                self._gate.replace(amended.permissions)
            elif any(amended.permissions.values()):
                self._gate.amend(amended.permissions)

    def _bar(self, senders: SenderChanges) -> None:
        self._senders_read = senders.change
        if senders.whole or senders.devices or senders.users:
            self._gate.bar(senders, only_known=self._only_registered)

    def _read(self) -> tuple[Amendment, SenderChanges | None]:
        """Of those who decided since the last reading, and of those who may, or may not, send since then."""
        generation = self._registry.generation()
        if generation == self._generation:
            return Amendment(self._consents, NOBODY), None
        amended = self._registry.consent.amended(self._consents)
        senders = self._registry.senders.since(self._senders_read, active=self._only_registered)
        self._consents = amended.newest
        self._declarations = self._registry.apps.declarations()
        self._generation = generation  # read before the permissions: at worst they are read once more
        return amended, senders
