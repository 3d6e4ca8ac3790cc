"""The certificates of a running service: renewed in time, taken up without a restart, their ends known."""

import contextlib
import hashlib
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from cryptography import x509

from healthsync_mqtt.config.private_files import create_private, directory_lock, read_private, write_durably
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.certificates.book import CertificateBook
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.certificates.files import (
    CertificatePaths,
    ensure_ca_and_server,
    load_certificate,
    load_server_chain,
    open_authority,
    pem,
    server_context,
)
from healthsync_mqtt.identity.certificates.issuing import CRL_LIFE, RENEW_FRACTION
from healthsync_mqtt.model.times import micros

WARN_S: Final = 14 * 86_400.0
"""How long before its end a certificate is warned of."""

_CLIENTS: Final[dict[Demand, Literal["off", "optional", "required"]]] = {
    Demand.off: "off",
    Demand.optional: "optional",
    Demand.required: "required",
    Demand.required_with_token: "required",
}
_CHECK_S: Final = 3_600.0
_AGAIN_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """When the CA's and the server's certificate end (epoch seconds), and how many clients' will within ``WARN_S``."""

    ca: float
    server: float
    clients: int
    clients_ending: int


_Stamp = tuple[bytes, bytes]
"""Digests of the certificate and of the key: times and inodes may be the same for other content."""


@dataclass(frozen=True, slots=True)
class _Chain:
    """A certificate and its key as they were read, in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    @classmethod
    def read(cls, paths: CertificatePaths) -> "_Chain":
        """The two files; FileNotFoundError, ConfigError for a loose key."""
        certificate = paths.server_cert.read_bytes()
        return cls(certificate, read_private(paths.server_key))

    @property
    def stamp(self) -> _Stamp:
        """The same for the same content."""
        return hashlib.sha256(self.certificate).digest(), hashlib.sha256(self.key).digest()

    @contextlib.contextmanager
    def files(self, directory: Path) -> Iterator[CertificatePaths]:
        """These bytes as files, for OpenSSL reads nothing else; nobody else has them, so nobody replaces them."""
        with tempfile.TemporaryDirectory(prefix=".swap-", dir=directory) as place:
            paths = CertificatePaths.within(Path(place))
            paths.server_cert.write_bytes(self.certificate)
            create_private(paths.server_key)
            paths.server_key.write_bytes(self.key)
            yield paths


class ServerTls:
    """TLS contexts of the listeners on the certificates in ``directory``; ConfigError when these are no good.

    What is on disk is used only when it works: certificate and key are copied, the copies are tried in a context of
    their own, and only those very bytes reach the listeners. Until then these go on with what they had.
    """

    def __init__(
        self, directory: Path, hosts: Sequence[str], book: CertificateBook, minimum: Literal["1.2", "1.3"], now: float
    ) -> None:
        self._directory = directory
        self._hosts = hosts
        self._book = book
        self._minimum = minimum
        self._contexts: list[ssl.SSLContext] = []
        self._check_at = self._checked_at = now
        self._in_use: _Stamp | None = None
        self._tried: _Chain | None = None
        self._refused: tuple[_Stamp, float] | None = None
        self.paths = CertificatePaths.within(directory)
        self.expiry = Expiry(ca=0, server=0, clients=0, clients_ending=0)
        self.problem = ""
        """Why the files on disk are not in use; nothing when they are."""
        if self.upkeep(now):
            self.reload()

    def context(self, clients: Demand) -> ssl.SSLContext:
        """A context for a listener that demands ``clients``; it follows the files through ``reload``."""
        made = server_context(self.paths, minimum=self._minimum, clients=_CLIENTS[clients])
        self._contexts.append(made)
        return made

    def upkeep(self, now: float) -> bool:
        """Renew what nears its end, hourly; whether ``reload`` has something to do. Blocks; not on the event loop.

        ConfigError or StoreError when that is not possible now, each minute anew while it lasts; what is in use stays
        in use.
        """
        try:
            if now >= self._check_at or now < self._checked_at:  # also when the clock was set back
                self._check_at, self._checked_at = now + _AGAIN_S, now
                if self._is_new_to_us():
                    return self._try(now)  # it may be half of a pair: what we made would be in the other half's way
                self._renew(datetime.fromtimestamp(now, UTC))
                self.expiry = self._ends(now)
                self._check_at = now + _CHECK_S
            return self._try(now)
        except OSError as error:
            raise ConfigError(
                f"the certificates in {self._directory} cannot be kept up: {error.strerror}",
                hint="see that the disk has room and the files are there: healthsync doctor",
            ) from error

    def reload(self) -> None:
        """Use what ``upkeep`` tried for every handshake from here on; open connections stay as they are.

        ConfigError when that cannot be done now: the older ones stay in use, and these are offered again.
        """
        if self._tried is None:
            return
        try:
            with self._tried.files(self._directory) as paths:
                for context in self._contexts:
                    load_server_chain(context, paths)
        except OSError as error:
            raise ConfigError(
                f"the new certificate cannot be taken up: {error.strerror}",
                hint="see that the disk has room: healthsync doctor",
            ) from error
        self._in_use, self._tried, self._refused, self.problem = self._tried.stamp, None, None, ""

    def _is_new_to_us(self) -> bool:
        """Whether something is in use, and others have put there what was not tried yet."""
        if self._in_use is None or not (self.paths.server_cert.exists() and self.paths.server_key.exists()):
            return False
        return _Chain.read(self.paths).stamp not in {self._in_use, self._refused[0] if self._refused else None}

    def _try(self, now: float) -> bool:
        found = _Chain.read(self.paths)
        if found.stamp == self._in_use:
            self._tried, self._refused, self.problem = None, None, ""
            return False
        if self._refused is not None and self._refused[0] == found.stamp and now < self._refused[1]:
            return False
        try:
            with found.files(self._directory) as paths:
                server_context(paths, minimum=self._minimum)
        except ConfigError:
            if self._in_use is None:
                raise
            self._refused = found.stamp, now + _AGAIN_S
            self.problem = f"{self.paths.server_cert} and {self.paths.server_key} do not belong together"
            raise ConfigError(
                f"{self.problem}: the older ones stay in use", hint="put the certificate and its own key there"
            ) from None
        self._tried = found
        self.expiry = self._ends(now)
        return True

    def _renew(self, when: datetime) -> None:
        ensure_ca_and_server(self._directory, self._hosts, when)
        self._book.add(load_certificate(self.paths.server_cert), None, None, micros(when))
        if self.paths.ca_key.exists() and _list_is_old(self.paths, when):
            write_revocation_list(self._directory, self._book, when)

    def _ends(self, now: float) -> Expiry:
        alive = [end / 1e6 for end in self._book.ends_of_clients(int(now * 1e6))]
        return Expiry(
            ca=load_certificate(self.paths.ca_cert).not_valid_after_utc.timestamp(),
            server=load_certificate(self.paths.server_cert).not_valid_after_utc.timestamp(),
            clients=len(alive),
            clients_ending=sum(end - now < WARN_S for end in alive),
        )


def write_revocation_list(directory: Path, book: CertificateBook, now: datetime) -> Path:
    """A new ``ca.crl`` with every revoked serial number, for other servers that trust the CA; ConfigError if foreign.

    The service itself asks the registry and needs no list.
    """
    authority = open_authority(directory, now)
    paths = CertificatePaths.within(directory)
    with directory_lock(directory):  # numbers and files in the same order
        number, revoked = book.listed(micros(now))
        write_durably(paths.ca_crl, pem(authority.revocation_list(revoked, number, now)), mode=0o644)
    return paths.ca_crl


def _list_is_old(paths: CertificatePaths, now: datetime) -> bool:
    try:
        until = x509.load_pem_x509_crl(paths.ca_crl.read_bytes()).next_update_utc
    except (OSError, ValueError):
        return True
    return until is None or until - now < CRL_LIFE * RENEW_FRACTION
