"""What ``healthsync doctor`` says about the way an installation is set up: who may do what, with which secrets."""

import os
from collections.abc import Iterator
from pathlib import Path

from healthsync_mqtt.cli.doctor.finding import Finding, Grade
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE_FILE, key_passphrase
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.certificates.server_tls import WARN_S
from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.identity.keys.agreement import check
from healthsync_mqtt.identity.keys.signing import KeyState, free_from_us, states
from healthsync_mqtt.identity.keys.store import KeyStore
from healthsync_mqtt.identity.people.opening import shared_registry
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.keys.faults import IF_LOST, KeyUnavailableError
from healthsync_mqtt.keys.opening import FILE, ring_of
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.opening import encryption

_DAY_US = 86_400_000_000
_KEY_AGE_US = 90 * _DAY_US
_LONG_TOKEN_S = 86_400
_MOST_NAMED = 3


def posture(place: DataDirectory, settings: Settings, now_us: int) -> Iterator[Finding]:
    """Findings about settings, keys and the registry. Nothing is created; what does not exist yet is passed over."""
    yield _account()
    yield from _listeners(settings)
    yield _tokens(settings)
    yield from _keys(place, now_us)
    yield from _data_keys(place, on_server=bool(settings.storage.url))
    if place.has_registry():
        try:
            registry = Registry.open(place.registry_db)
        except HealthSyncError as error:
            yield Finding(check="registry", grade=Grade.BAD, message=str(error), fix=error.hint)
            return
        with registry:
            yield from _shared(place)
            yield from _subscribers(registry)
            yield from _consents(registry, now_us)
            yield from _clients(registry, now_us)


def _account() -> Finding:
    if os.geteuid() == 0:
        fix = "run the service under an account of its own"
        return Finding(check="account", grade=Grade.NOTE, message="this is the superuser", fix=fix)
    return Finding(check="account", grade=Grade.GOOD, message="not the superuser")


def _listeners(settings: Settings) -> Iterator[Finding]:
    broker = settings.broker
    message = f"plain MQTT on {broker.host} only" if broker.mqtt_port else "plain MQTT on a free port of this machine"
    yield Finding(check="plain listener", grade=Grade.GOOD, message=message)
    if "*" in broker.allowed_origins:
        fix = "name the origins of your own pages: broker.allowed_origins"
        yield Finding(check="origins", grade=Grade.BAD, message="every web page may open a WebSocket", fix=fix)
    demands = {"mqtts": broker.mqtts_clients, "wss": broker.wss_clients}
    asked = ", ".join(f"{name}: {demand}" for name, demand in demands.items())
    yield Finding(check="client certificates", grade=Grade.GOOD, message=asked)
    if settings.paths.config_file.exists() and settings.paths.config_file.stat().st_mode & 0o022:
        fix = f"chmod 600 {settings.paths.config_file}"
        yield Finding(check="settings file", grade=Grade.BAD, message="other accounts may write it", fix=fix)


def _tokens(settings: Settings) -> Finding:
    lifetime = settings.token.lifetime_s
    hours = f"new tokens live {lifetime / 3600:g} h"
    if lifetime >= _LONG_TOKEN_S:
        fix = "let devices refresh theirs, and set token.lifetime_s = 3600"
        return Finding(check="token lifetime", grade=Grade.NOTE, message=hours, fix=fix)
    return Finding(check="token lifetime", grade=Grade.GOOD, message=hours)


def _keys(place: DataDirectory, now_us: int) -> Iterator[Finding]:
    if not (place.keys / "keyring.json").exists():
        return
    try:
        passphrase = key_passphrase()
        store = KeyStore(place.keys, passphrase)
        records = store.records(now_us)
        at = states(records, now_us)
        signing = next(each for each in records if at[each.kid] is KeyState.signing)
        encrypted = store.encrypted(signing.kid)
    except HealthSyncError as error:
        yield Finding(check="signing key", grade=Grade.BAD, message=str(error), fix=error.hint)
        return
    days = (now_us - signing.signs_from_us) // _DAY_US
    if now_us - signing.signs_from_us > _KEY_AGE_US:
        fix = "healthsync key rotate"
        yield Finding(check="signing key", grade=Grade.NOTE, message=f"it has signed for {days} days", fix=fix)
    else:
        yield Finding(check="signing key", grade=Grade.GOOD, message=f"in use since {iso(signing.signs_from_us)[:10]}")
    if encrypted and passphrase is None:
        fix = f"set {KEY_PASSPHRASE_FILE} for the service and its commands"
        yield Finding(check="key passphrase", grade=Grade.BAD, message="the signing key needs one", fix=fix)
    elif passphrase is not None and not encrypted:
        fix = "healthsync key rotate"
        yield Finding(check="key passphrase", grade=Grade.NOTE, message="the signing key is not under it yet", fix=fix)
    for each in records:
        free = free_from_us(records, each.kid) if at[each.kid] is KeyState.verifying else None
        if free is not None and free <= now_us:
            fix = f"healthsync key retire {each.kid}"
            yield Finding(check="old key", grade=Grade.NOTE, message=f"nobody needs {each.kid} any more", fix=fix)


def _data_keys(place: DataDirectory, *, on_server: bool) -> Iterator[Finding]:
    try:
        sealed = encryption(place.path)
        if sealed.mode == "none":
            return
        if sealed.plain_rows:
            fix = "healthsync storage encrypt"
            message = f"up to {sealed.plain_rows} rows of the log are not sealed yet"
            yield Finding(check="sealed log", grade=Grade.NOTE, message=message, fix=fix)
        ring_of(place.path).check()
    except HealthSyncError as error:
        fix = error.hint
        if isinstance(error, KeyUnavailableError) and IF_LOST not in fix:
            fix = f"{fix}; {IF_LOST}"
        yield Finding(check="data keys", grade=Grade.BAD, message=str(error), fix=fix)
        return
    if sealed.provider == FILE:
        message = "THE OUTER KEY LIES ON THE SAME DISK AS WHAT IT SEALS: whoever copies the disk reads everything"
        if on_server:
            message = "the outer key is a file here: whoever copies this disk and the server's reads everything"
        fix = f"set {KEY_PASSPHRASE_FILE}, then: healthsync key rewrap --provider passphrase"
        yield Finding(check="data keys", grade=Grade.NOTE, message=message, fix=fix)
    else:
        yield Finding(check="data keys", grade=Grade.GOOD, message=f"{sealed.users}, under {sealed.provider}")


def _shared(place: DataDirectory) -> Iterator[Finding]:
    """That the registry is on a server, and whether the keys here are those of the installation."""
    if (shared := shared_registry(place.path)) is None:
        return
    yield Finding(check="registry", grade=Grade.GOOD, message=shared)
    store = KeyStore(place.keys)
    if not (place.keys / "keyring.json").exists():
        return
    try:
        check(place.keys, store.records(0))
    except HealthSyncError as error:
        yield Finding(check="shared keys", grade=Grade.BAD, message=str(error), fix=error.hint)
        return
    yield Finding(check="shared keys", grade=Grade.GOOD, message="those of the installation")


def _subscribers(registry: Registry) -> Iterator[Finding]:
    wide = [each for each in registry.subscribers() if each.users is None]
    for each in wide:
        what = "everything" if (types := each.principal.types) is None else f"{len(types)} types"
        yield Finding(
            check="subscribers",
            grade=Grade.NOTE,
            message=f"{each.name} reads {what} of every user, also of those to come",
            fix="give its work to one that names its users: healthsync subscriber add NAME --users A,B --types T",
        )
    if not wide:
        yield Finding(check="subscribers", grade=Grade.GOOD, message="none reads every user")


def _consents(registry: Registry, now_us: int) -> Iterator[Finding]:
    granted = registry.consent.permissions()[Purpose.store]
    without = []
    for user in registry.users():
        permission = granted.get(user.id)
        spans = [] if permission is None else [permission.rest, *permission.types.values()]
        if not any(now_us < span.until_us for span in spans):
            without.append(user.id)
    if not without:
        yield Finding(check="consent", grade=Grade.GOOD, message="every user agreed to something")
        return
    named = ", ".join(without[:_MOST_NAMED]) + (" …" if len(without) > _MOST_NAMED else "")
    message = f"nothing is stored for {len(without)} users without consent: {named}"
    fix = f"healthsync consent grant {without[0]} --types all, once they agreed"
    yield Finding(check="consent", grade=Grade.NOTE, message=message, fix=fix)


def _clients(registry: Registry, now_us: int) -> Iterator[Finding]:
    """Clients whose newest certificate ends soon; one that has a longer one is not waited for."""
    last: dict[str, int] = {}
    for each in registry.certificates.issued():
        if each.client_id is not None and each.expires_us is not None and each.revoked_us is None:
            last[each.client_id] = max(each.expires_us, last.get(each.client_id, 0))
    ending = sorted(name for name, end in last.items() if now_us < end < now_us + int(WARN_S * 1_000_000))
    if ending:
        named = ", ".join(ending[:_MOST_NAMED]) + (" …" if len(ending) > _MOST_NAMED else "")
        message = f"{len(ending)} end within {WARN_S / 86_400:g} days: {named}"
        fix = "healthsync cert renew device USER DEVICE"
        yield Finding(check="client certificates", grade=Grade.NOTE, message=message, fix=fix)


def private_files(place: DataDirectory) -> list[Path]:
    """The files that have to be private, as far as they exist."""
    databases = [
        place.path / f"{name}.db{end}" for name in ("registry", "events", "audit", "keys") for end in ("", "-wal")
    ]
    return [path for path in [*databases, *place.keys.glob("*"), *place.certs.glob("*.key")] if path.is_file()]
