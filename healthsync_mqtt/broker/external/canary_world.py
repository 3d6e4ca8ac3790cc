"""Who takes part in a canary's flight. Each bridge has such a world of its own, and one world is no bridge's.

A broker keeps one connection a client id. Two flights in one world would end each other's connections, and what ended
so was not refused by anybody: so flights of several bridges share nothing, and none has to wait for another's.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from healthsync_mqtt.identity.people.names import CANARY_NAMES
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.grammar import ID_MAX

_ROOM: Final = ID_MAX - len(f"{CANARY_NAMES}-a-probe")
"""The longest id of a bridge that its canaries' names have room for; of others there is the beginning, and a digest."""
_DIGEST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryWorld:
    """The identities of one world."""

    #: tries to cross
    intruder: Principal
    #: must not notice
    victim: Principal
    #: finds out what the broker can promise, also while a canary flies
    probe: Principal
    #: the bridge of this world: sees what the three publish, publishes what bridges do, and reaches no user
    perch: Principal
    #: may read what the victim may
    reader: Principal
    #: brings what a provider's cloud has of the victim
    cloud: Principal

    @classmethod
    def named(cls, name: str) -> Self:
        """The world whose identities' names begin so."""
        intruder, victim, probe = (_device(f"{name}{each}") for each in "abc")
        users = frozenset(str(each.user) for each in (intruder, victim, probe))
        of_victim = frozenset({str(victim.user)})
        return cls(
            intruder=intruder,
            victim=victim,
            probe=probe,
            perch=Principal(
                role=Role.bridge,
                client_id=f"{name}perch",
                users=users | {victim.client_id},  # whose answers go to topics of the client's name
                types=None,
            ),
            reader=Principal(role=Role.subscriber, client_id=f"{name}reader", users=of_victim, types=None),
            cloud=Principal(role=Role.adapter, client_id=f"{name}cloud", provider="probe", users=of_victim, types=None),
        )

    @property
    def audience(self) -> tuple[Principal, ...]:
        """Those whom the intruder must not reach."""
        return (self.victim, self.perch, self.reader, self.cloud)

    @property
    def everybody(self) -> tuple[Principal, ...]:
        return (self.intruder, *self.audience, self.probe)


def _device(user: str) -> Principal:
    return Principal(
        role=Role.device, client_id=f"{user}-probe", user=user, device="probe", formats=frozenset({"probe"})
    )


COMMON: Final = CanaryWorld.named(CANARY_NAMES)
"""No bridge's: for commands, and for bridges that have no credentials of a world of their own yet."""


def world_of(bridge_id: str) -> CanaryWorld:
    """The world of one bridge."""
    if len(bridge_id) > _ROOM:
        digest = hashlib.sha256(bridge_id.encode()).hexdigest()[:_DIGEST]
        bridge_id = f"{bridge_id[: _ROOM - _DIGEST - 1]}-{digest}"
    return CanaryWorld.named(f"{CANARY_NAMES}{bridge_id}-")


def canaries(bridge_ids: Iterable[str]) -> tuple[Principal, ...]:
    """Everybody of the common world, and of each of these bridges'."""
    return tuple(each for world in (COMMON, *map(world_of, bridge_ids)) for each in world.everybody)


def is_canary(name: str) -> bool:
    """Whether a user or a client id is a canary's, whichever bridge's."""
    return name.startswith(CANARY_NAMES)
