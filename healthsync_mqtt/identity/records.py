"""What the registry holds, as values. Times are microseconds since the epoch, UTC; None for a set means all."""

from dataclasses import dataclass

from healthsync_mqtt.model.principal import Principal, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person whose data is kept."""

    id: str
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A grant by a user: which types (None = all) for which purpose, when, and who recorded it."""

    user_id: str
    types: frozenset[str] | None
    purpose: str
    granted_us: int
    recorded_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of a user. ``client_id`` is also its MQTT username; tokens issued before ``not_before_s`` are void."""

    user_id: str
    device_id: str
    client_id: str
    created_us: int
    removed_us: int | None
    not_before_s: int

    @property
    def principal(self) -> Principal:
        """The identity its connections get."""
        return Principal(role=Role.device, client_id=self.client_id, user=self.user_id, device=self.device_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """A backend that reads canonical events of ``users`` and ``types``. Its name is its client id and username."""

    name: str
    users: frozenset[str] | None
    types: frozenset[str] | None
    created_us: int

    @property
    def principal(self) -> Principal:
        """The identity its connections get."""
        return Principal(role=Role.subscriber, client_id=self.name, users=self.users, types=self.types)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """An operator. Its name is its client id and username."""

    name: str
    created_us: int

    @property
    def principal(self) -> Principal:
        """The identity its connections get."""
        return Principal(role=Role.admin, client_id=self.name, users=None, types=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """One consistent reading of every principal, removed devices left out."""

    generation: int
    devices: tuple[Device, ...]
    subscribers: tuple[Subscriber, ...]
    admins: tuple[Admin, ...]
