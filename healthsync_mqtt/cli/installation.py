"""The data directory as commands see it: what is where, and how it is opened."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from healthsync_mqtt.cli.options import now_us, operator
from healthsync_mqtt.cli.output import say
from healthsync_mqtt.client import Credentials
from healthsync_mqtt.config.private_files import make_private_directory
from healthsync_mqtt.control.channel import heeded
from healthsync_mqtt.errors import NotFoundError, Noun, StoreError, UnavailableError, UnknownNameError
from healthsync_mqtt.identity.audit.delivery import deliver
from healthsync_mqtt.identity.audit.log import AuditLog, plain, subject_of
from healthsync_mqtt.identity.people.opening import has_registry
from healthsync_mqtt.identity.people.records import Device
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.opening import has_log, open_reader
from healthsync_mqtt.storage.port import LogReader

if TYPE_CHECKING:
    from healthsync_mqtt.identity.keys.store import KeyStore

DEFAULT_LIFETIME_S = 86_400


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """One installation's state. Nothing is created before it is needed."""

    path: Path

    @property
    def registry_db(self) -> Path:
        return self.path / "registry.db"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def certs(self) -> Path:
        return self.path / "certs"

    def key_store(self) -> "KeyStore":
        """The signing keys."""
        from healthsync_mqtt.identity.keys.store import KeyStore  # few commands need them

        make_private_directory(self.path)
        return KeyStore.of_environment(self.keys)

    def registry(self) -> Registry:
        """The registry, created when missing."""
        make_private_directory(self.path)
        return Registry.open(self.registry_db)

    def has_registry(self) -> bool:
        """Whether there is one yet, in the directory or on the server of its settings."""
        return has_registry(self.registry_db)

    def audit_log(self) -> AuditLog:
        """The audit log, created when missing."""
        return AuditLog.open(self.path / "audit.db", self.keys / "audit.key")

    def audit(self, action: str, *, user: str | None = None, device: str | None = None, **detail: Any) -> None:
        """Write down what this command did. Persons appear as pseudonyms; ``detail`` holds no value and no secret."""
        with self.changing() as change:
            change.note(action, user=user, device=device, **detail)

    def audit_client(self, action: str, client_id: str) -> None:
        """``audit`` of what is done to a connection: a person's appears as a pseudonym, a program's by its name."""
        with self.registry() as registry:
            known = next((each for each in registry.devices(removed=True) if each.client_id == client_id), None)
        if known is None:
            self.audit(action, client=client_id)
        else:
            self.audit(action, user=known.user_id, device=known.device_id)

    @contextlib.contextmanager
    def changing(self) -> "Iterator[Change]":
        """The registry for one transaction, with what is written down of it: both happen, or neither.

        StoreError or UnavailableError, and no change, when the audit log cannot be opened. Rows that cannot be carried
        over to it after the change are kept with the change, and go with the next ones: that is said, and no error.
        A running service goes by the change before the command says that it is made.
        """
        log = self.audit_log()
        with self.registry() as registry:
            with registry.write():
                yield Change(registry, log)
            heeded(self.path)
            try:
                deliver(registry.audit_outbox, log)
            except (StoreError, UnavailableError) as error:
                say(f"note: the change is made; its row in the audit log comes with the next one ({error})")

    def log(self) -> LogReader | None:
        """A reader of the event log; None before the service has run for the first time."""
        return open_reader(self.path) if has_log(self.path) else None

    def expect_user(self, user_id: str | None) -> None:
        """A filter names somebody. NotFoundError for a user that was never added and of whom there is no event."""
        if user_id is None:
            return
        log = self.log()
        if log is not None:
            with log:
                if log.read(0, 1, user=user_id, history=True) or log.rejected(0, 1, user=user_id):
                    return
        with self.registry() as registry:
            registry.user(user_id)

    def expect_device(self, user_id: str | None, device_id: str | None) -> None:
        """A filter names a device. NotFoundError when none of that name was ever added and there is no event of one.

        Without a user, any user's will do. Only for one that nobody added the log is asked.
        """
        if device_id is None:
            return
        with self.registry() as registry:
            added = registry.devices(removed=True)
        if any(each.device_id == device_id and user_id in {None, each.user_id} for each in added):
            return
        log = self.log()
        if log is not None:
            with log:
                if log.read(0, 1, user=user_id, device=device_id, history=True):
                    return
        message = f"nobody has a device {device_id}" if user_id is None else f"{user_id} has no device {device_id}"
        raise UnknownNameError(Noun.device, device_id, message, hint="healthsync device list", owner=user_id)

    def expect_added(self, user_id: str) -> None:
        """Somebody is named for whom something is to be done. NotFoundError for who is not added now.

        Before there is a registry nothing is known, and what is missing then is more than a name.
        """
        if self.has_registry():
            with self.registry() as registry:
                registry.user(user_id)

    def identity(
        self,
        principal: Principal,
        *,
        user_id: str | None,
        device_id: str | None,
        lifetime_s: int = DEFAULT_LIFETIME_S,
        epoch: int,
        acl: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """A new token of a principal of ``epoch``, as ``device add`` and ``subscriber add`` print it."""
        from healthsync_mqtt.identity.login.tokens import TokenIssuer  # few commands issue one

        issuer = TokenIssuer(self.key_store().keyring(time.time_ns() // 1000))
        token = issuer.issue(principal, lifetime_s=lifetime_s, now=time.time(), epoch=epoch, acl=acl)
        self.audit(
            "token.issued",
            user=user_id,
            device=device_id,
            client=principal.client_id if device_id is None else None,
            role=principal.role,
            jti=token.jti,
            lifetime_s=lifetime_s,
        )
        return {
            "user_id": user_id,
            "device_id": device_id,
            "client_id": principal.client_id,
            "username": principal.client_id,
            "token": token.token,
            "expires_at": iso(int(token.expires_at * 1_000_000)),
        }

    def device_identity(self, device: Device, *, lifetime_s: int = DEFAULT_LIFETIME_S) -> dict[str, Any]:
        """A new token of a device."""
        return self.identity(
            device.principal,
            user_id=device.user_id,
            device_id=device.device_id,
            lifetime_s=lifetime_s,
            epoch=device.token_epoch,
        )

    def credentials(self, device: Device) -> Credentials:
        """A device's login for a client in this process."""
        return Credentials.from_mapping(self.device_identity(device))


def expect(place: DataDirectory, user: str | None, device: str | None = None) -> None:
    """A list is asked for by these names. NotFoundError for one that nobody has; before there is anything, none has."""
    if place.has_registry() or has_log(place.path):
        place.expect_user(user)
        place.expect_device(user, device)


class Change(NamedTuple):
    """One transaction of the registry, and the notes of what it does."""

    registry: Registry
    log: AuditLog

    def note(self, action: str, *, user: str | None = None, device: str | None = None, **detail: Any) -> None:
        """Write down an action. Persons appear as pseudonyms; ``detail`` holds no value and no secret."""
        self.registry.audit_outbox.note(
            action,
            actor=operator(),
            now_us=now_us(),
            subject=subject_of(self.log, user, device),
            detail=plain(detail),
        )


def device_made_if_missing(registry: Registry, user_id: str, device_id: str, now_us: int) -> tuple[Device, bool]:
    """The device, and whether it had to be added. NotFoundError for an unknown user."""
    registry.user(user_id)
    try:
        return registry.device(user_id, device_id), False
    except NotFoundError:
        return registry.add_device(user_id, device_id, now_us), True
