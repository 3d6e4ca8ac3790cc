"""The simulation's people: a real registry, tokens that are really signed, and the admin who gives and takes both."""

import asyncio
import tempfile
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from healthsync_mqtt.config.private_files import create_private
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.tokens import IssuedToken, TokenIssuer
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.testing.simulator.virtual_time import WallClock

USERS: Final = ("alice", "bob")
DEVICES: Final = ("d0", "d1", "band")
"""Of each user; ``band`` sends nothing and takes commands."""
KEYS: Final = Keyring.of(Ed25519PrivateKey.from_private_bytes(bytes(32)))
"""Known to everybody: nothing here is secret, and a token is as long whatever signs it."""
_DAY_S: Final = 86_400


class Taking(StrEnum):
    """How the rights of a device are taken away."""

    #: it is removed
    REMOVAL = "removal"
    #: it may not connect until further notice
    SUSPENSION = "suspension"
    #: all that it was given is void
    REVOCATION = "revocation"
    #: the one token that it has is void
    TOKEN = "token"  # noqa: S105


class Badge:
    """What one member logs in with. Who forgot it, or holds an old one, is given the next; nobody is after a taking."""

    def __init__(self, principal: Principal, office: "Office") -> None:
        self.principal = principal
        self.taken = asyncio.Event()
        self._office = office
        self._newest: IssuedToken | None = None

    @property
    def jti(self) -> str:
        """The id of the newest token; of none before the first."""
        return "none" if self._newest is None else self._newest.jti

    def token(self) -> str:
        """A token to log in with now; empty for who had none before the taking."""
        if not self.taken.is_set():
            self._newest = self._office.issue(self.principal)
        return "" if self._newest is None else self._newest.token


class Office:
    """An admin at the machine's own clock: each call is what a command does, beside the service or without it."""

    def __init__(self, path: Path, clock: WallClock) -> None:
        """The registry at ``path``, new, with everybody in it and agreed to everything."""
        create_private(path)
        path.write_bytes(_everybody(clock.true_us()))
        self._registry = Registry.open(path)
        self._issuer = TokenIssuer(KEYS)
        self._clock = clock

    def close(self) -> None:
        """Close the registry."""
        self._registry.close()

    def issue(self, principal: Principal) -> IssuedToken:
        """A token for a day."""
        epoch = self._registry.token_epoch(principal.client_id)
        return self._issuer.issue(principal, lifetime_s=_DAY_S, now=self._clock.time(), epoch=epoch)

    def code(self, user: str, name: str) -> str:
        """A one-time code for a device, which need not be there yet."""
        return self._registry.enrolments.create(user, name, self._clock.us())

    def take(self, badge: Badge, how: Taking) -> None:
        """Take a device's rights away, durably."""
        user, device, now_us = str(badge.principal.user), str(badge.principal.device), self._clock.us()
        badge.taken.set()
        match how:
            case Taking.REMOVAL:
                self._registry.remove_device(user, device, now_us)
            case Taking.SUSPENSION:
                self._registry.revocation.suspend_device(user, device, now_us)
            case Taking.REVOCATION:
                self._registry.revocation.revoke_device_tokens(user, device, now_us)
            case Taking.TOKEN:
                self._registry.revocation.revoke_token(badge.jti, now_us)


def device(user: str, name: str) -> Principal:
    """A device that is in the registry."""
    return Principal(role=Role.device, client_id=f"{user}-{name}", user=user, device=name)


READER: Final = Principal(role=Role.subscriber, client_id="reader", users=None, types=None)
OF_ALICE: Final = Principal(role=Role.subscriber, client_id="of-alice", users=frozenset({"alice"}), types=None)
OPERATOR: Final = Principal(role=Role.admin, client_id="operator", users=None, types=None)


@lru_cache(maxsize=1)
def _everybody(now_us: int) -> bytes:
    """The file of such a registry, made once a process."""
    with tempfile.TemporaryDirectory(prefix="healthsync-sim-") as directory:
        path = Path(directory) / "registry.db"
        with Registry.open(path) as registry, registry.write():
            for user in USERS:
                registry.add_user(user, "all", now_us)
                for name in DEVICES:
                    assert registry.add_device(user, name, now_us).principal == device(user, name)
            for reader in (READER, OF_ALICE):
                registry.add_subscriber(reader.client_id, reader.users, reader.types, now_us)
            registry.add_admin(OPERATOR.client_id, now_us)
        return path.read_bytes()
