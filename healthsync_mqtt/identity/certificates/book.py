"""The certificates that were issued, in registry.db, and the serial numbers that are refused."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from healthsync_mqtt.errors import InputError, NotFoundError
from healthsync_mqtt.identity.certificates.serial import serial_text
from healthsync_mqtt.identity.people.lookup import epoch_of
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.model.times import micros

if TYPE_CHECKING:
    from cryptography import x509

SERVER: Final = "server"
FOREIGN: Final = "foreign"
"""Another CA's: all that is known of it is its serial number."""

_SQL: Final = statements("people", "certificates")
_SERIAL: Final = re.compile(r"0*([0-9a-f]{1,40})")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """One certificate; ``kind`` is "server", "foreign" or the role of the principal ``client_id``."""

    serial: str
    kind: str
    client_id: str | None = None
    issued_us: int | None = None
    expires_us: int | None = None
    revoked_us: int | None = None
    revoked_for: str | None = None


class _Standing(NamedTuple):
    """A serial number, and whether its certificate may not log in (0 or 1)."""

    serial: str
    denied: int


class _Revoked(NamedTuple):
    """A line of the revocation list."""

    serial: str
    revoked_us: int


def read_serial(text: str) -> str:
    """A serial number as people write it (upper case, colons, leading zeros) in the one form used here; InputError."""
    found = _SERIAL.fullmatch(text.strip().lower().replace(":", "").removeprefix("0x"))
    if found is None:
        raise InputError("a serial number is 1 to 40 hexadecimal digits", hint="healthsync cert list")
    return found[1]


class CertificateBook:
    """Each change is one durable write that running services see within a fraction of a second."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, certificate: "x509.Certificate", role: Role | None, client_id: str | None, now_us: int) -> str:
        """Record a certificate (without a role: a server's); its serial number."""
        serial = serial_text(certificate)
        issued = IssuedCertificate(
            serial=serial,
            kind=SERVER if role is None else role.value,
            client_id=client_id,
            issued_us=now_us,
            expires_us=micros(certificate.not_valid_after_utc),
        )
        with self._tables.write():
            if self._known(serial) is None:
                epoch = None if client_id is None else epoch_of(self._tables, client_id)
                self._tables.insert("certificates", asdict(issued) | {"token_epoch": epoch or 0})
        return serial

    def issued(self, client_id: str | None = None) -> list[IssuedCertificate]:
        """All certificates, or those of one principal, oldest first."""
        return self._tables.records(IssuedCertificate, _SQL["issued"], client_id)

    def ends_of_clients(self, now_us: int) -> list[int]:
        """When the clients' certificates end that are good at ``now_us`` (epoch microseconds)."""
        return self._tables.column(int, _SQL["ends_of_clients"], now_us)

    def ends_of(self, client_id: str, now_us: int) -> int | None:
        """When the last certificate of a client ends that is good at ``now_us``; None: it has none."""
        ((end,),) = self._tables.tuples(_SQL["end_of_client"], client_id, now_us)
        return cast("int | None", end)

    def find(self, serial: str) -> IssuedCertificate:
        """One certificate; NotFoundError."""
        found = self._known(read_serial(serial))
        if found is None:
            raise NotFoundError("no certificate of this serial number was issued here", hint="healthsync cert list")
        return found

    def revoke(self, serial: str, now_us: int, *, why: str, foreign: bool = False) -> IssuedCertificate:
        """Refuse a certificate from now on, for good; one that was revoked before stays as it is.

        NotFoundError for a number that was not issued here, unless it is said to be another CA's.
        """
        serial = read_serial(serial)
        with self._tables.write():
            known = self._known(serial)
            if known is None and foreign:
                unknown = IssuedCertificate(serial=serial, kind=FOREIGN, revoked_us=now_us, revoked_for=why)
                self._tables.insert("certificates", asdict(unknown))
            elif known is not None and known.revoked_us is None:
                self._tables.update("certificates", serial, {"revoked_us": now_us, "revoked_for": why})
            return self.find(serial)

    def denied(self) -> frozenset[str]:
        """The serial numbers that may not log in: revoked ones, and those from before a revocation of their holder."""
        return frozenset(self._tables.column(str, _SQL["denied"]))

    def denied_among(self, serials: Iterable[str], client_ids: Iterable[str]) -> dict[str, bool]:
        """For these serial numbers, and all of these principals, whether they are among the ``denied``."""
        found = [each for serial in serials for each in self._tables.records(_Standing, _SQL["denied_of"], serial)]
        for client in client_ids:
            found += self._tables.records(_Standing, _SQL["denied_of_client"], client)
        return {each.serial: bool(each.denied) for each in found}

    def listed(self, now_us: int) -> tuple[int, list[tuple[int, datetime]]]:
        """What the next revocation list says: its number, and the revoked serial numbers that have not expired."""
        with self._tables.write():
            number = self._tables.number(_SQL["list_number"]) + 1
            self._tables.update("revocation_lists", 1, {"number": number})
            revoked = self._tables.records(_Revoked, _SQL["revoked"], now_us)
        return number, [(int(each.serial, 16), _when(each.revoked_us)) for each in revoked]

    def _known(self, serial: str) -> IssuedCertificate | None:
        return self._tables.record(IssuedCertificate, _SQL["certificate"], serial)


def _when(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC)
