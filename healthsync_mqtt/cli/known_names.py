"""The names that a data directory has. Reads only, makes nothing; where it cannot be read there are none."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.names import did_you_mean
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.errors import HealthSyncError, Noun, UnknownNameError
from healthsync_mqtt.identity.people.opening import has_registry
from healthsync_mqtt.identity.registry import Registry


def users(data: Path) -> list[str]:
    """Ids of users."""
    return _of_registry(data, lambda registry: (user.id for user in registry.users()))


def devices(data: Path, user: str | None = None) -> list[str]:
    """Ids of a user's devices; of all users' without one."""
    return _of_registry(data, lambda registry: (each.device_id for each in registry.devices(user)))


def subscribers(data: Path) -> list[str]:
    """Names of subscribers."""
    return _of_registry(data, lambda registry: (each.name for each in registry.subscribers()))


def admins(data: Path) -> list[str]:
    """Names of admins."""
    return _of_registry(data, lambda registry: (each.name for each in registry.admins()))


def webhooks(data: Path) -> list[str]:
    """Names of webhooks."""
    return _of_registry(data, lambda registry: (each.name for each in registry.webhooks.all()))


def apps(data: Path, user: str | None = None) -> list[str]:
    """Names of a user's apps; of all users' without one."""

    def known(registry: Registry) -> list[str]:
        logins = registry.apps.all()
        return [each.device_id for each in registry.devices(user) if each.client_id in logins]

    return _of_registry(data, known)


def clients(data: Path) -> list[str]:
    """Client ids of devices and subscribers."""

    def known(registry: Registry) -> list[str]:
        return [each.client_id for each in registry.devices()] + [each.name for each in registry.subscribers()]

    return _of_registry(data, known)


def serials(data: Path) -> list[str]:
    """Serial numbers of certificates."""
    return _of_registry(data, lambda registry: (each.serial for each in registry.certificates.issued()))


def sinks(data: Path) -> list[str]:
    """Names of sinks: their files' names."""
    return [file.stem for file in (data / "sinks").glob("*.json")]


def sources(data: Path, user: str | None = None) -> list[str]:
    """What measured for a user, as its days tell it, and the user's devices, which may yet."""
    from healthsync_mqtt.summaries.file import SummaryFile

    if user is None:
        return []
    try:
        file = SummaryFile.read(DataPaths(root=data).summaries_db)
        found = [] if file is None else [each.name for each in file.sources(user)]
    except (HealthSyncError, OSError):
        return devices(data, user)
    if file is not None:
        file.close()
    return [*found, *devices(data, user)]


def passwords(data: Path) -> list[str]:
    """Client ids that have a password of their own."""
    from healthsync_mqtt.identity.login.credentials import CredentialStore

    try:
        return CredentialStore(data / "credentials").names()
    except (HealthSyncError, OSError):
        return []


_ALL: Final[Mapping[Noun, Callable[[Path, str | None], list[str]]]] = {
    Noun.user: lambda data, _: users(data),
    Noun.device: devices,
    Noun.app: apps,
    Noun.subscriber: lambda data, _: subscribers(data),
    Noun.admin: lambda data, _: admins(data),
    Noun.client: lambda data, _: clients(data),
    Noun.sink: lambda data, _: sinks(data),
    Noun.source: sources,
    Noun.password: lambda data, _: passwords(data),
}


_BRINGING: Final = frozenset(
    {"adapter link", "app add", "app why", "cert issue", "consent grant", "device add", "device enroll", "device token"}
    | {
        "ble read",
        "ble run",
        "device why",
        "homeassistant enable",
        "homeassistant login",
        "import",
        "publish",
        "replay",
        "simulate",
    }
    | {"subscriber token", "subscriber why", "user invite", "webhook add", "admin invite", "admin token"}
    | {"app show", "device show", "subscriber show", "user show"}
)
"""Commands that bring something to what is named, look at it alone, or ask why it does not work: adding may be the fix.

Whoever wants to change or take away something, or to see what came of it, is never told to make it.
"""


def advice(error: UnknownNameError, data: Path, command: str) -> str:
    """The fix for a name that nothing has: the nearest that something has, before where to look, or how to add it."""
    meant = did_you_mean(error.name, _ALL[error.noun](data, error.owner))
    fix = error.add if error.add and command in _BRINGING else error.hint
    return f"{meant}else: {fix}" if meant and fix else meant.strip() or fix


def _of_registry(data: Path, names: Callable[[Registry], Iterable[str]]) -> list[str]:
    file = data / "registry.db"
    try:
        if not has_registry(file):
            return []  # looking must not create one
        with Registry.open(file) as registry:
            return list(names(registry))
    except (HealthSyncError, OSError):
        return []
