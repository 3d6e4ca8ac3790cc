"""What the registry holds, as values. Times are microseconds since the epoch, UTC; None for a set means all."""

from dataclasses import dataclass, field

from healthsync_mqtt.identity.people.names import EVERY
from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared
from healthsync_mqtt.model.principal import Principal, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person whose data is kept."""

    id: str
    created_us: int
    suspended_us: int | None = None
    removed_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRecord:
    """What makes a device an app: the formats it sends, what is declared for its messages, its password's hash."""

    client_id: str
    formats: frozenset[str]
    declared: Declared
    secret: str = field(repr=False)
    created_us: int
    rotated_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of a user. ``client_id`` is also its MQTT username.

    Tokens of an earlier ``token_epoch`` are void; of those that name none, as releases before 0.3 issued them, the ones
    issued before ``not_before_s``.
    """

    user_id: str
    device_id: str
    client_id: str
    created_us: int
    removed_us: int | None
    not_before_s: int
    suspended_us: int | None = None
    token_epoch: int = 0
    app: AppRecord | None = None
    title: str | None = None
    """What people call it, where they gave it a name; no login, topic or event has it."""

    @property
    def principal(self) -> Principal:
        """The identity its connections get."""
        return Principal(
            role=Role.device,
            client_id=self.client_id,
            user=self.user_id,
            device=self.device_id,
            formats=frozenset() if self.app is None else self.app.formats,
            declared=NOTHING_DECLARED if self.app is None else self.app.declared,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """A backend that reads canonical events of ``users`` and ``types``. Its name is its client id and username.

    Types None are the general ones; in a set with names, ``*`` is.
    """

    name: str
    users: frozenset[str] | None
    types: frozenset[str] | None
    created_us: int
    suspended_us: int | None = None
    removed_us: int | None = None
    token_epoch: int = 0
    batches: bool = False
    """Whether it asked for arrays of canonical events."""

    @property
    def principal(self) -> Principal:
        """The identity its connections get."""
        listed = self.types or frozenset()
        every = self.types is None or EVERY in listed
        return Principal(
            role=Role.subscriber,
            client_id=self.name,
            users=self.users,
            types=None if every else listed,
            named=listed - {EVERY} if every else frozenset(),
            batches=self.batches,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """An operator. Its name is its client id and username."""

    name: str
    created_us: int
    token_epoch: int = 0

    @property
    def principal(self) -> Principal:
        """The identity its connections get."""
        return Principal(role=Role.admin, client_id=self.name, users=None, types=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A one-time code: ``handle`` is its public part, ``code_sha256`` the digest of the whole code.

    One with ``used_us`` is open for a minute more, for the client id ``used_by``: its answer may have been lost.
    """

    handle: str
    user_id: str
    device_id: str
    code_sha256: str = field(repr=False)
    expires_us: int
    tries: int
    used_us: int | None = None
    used_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A chain of refresh tokens that is not revoked. ``tag_key`` tells its tokens from made-up ones."""

    family: str
    user_id: str
    device_id: str
    tag_key: str = field(repr=False)
    expires_us: int


Member = Device | Subscriber | Admin
"""Who may have connections."""
