"""The certificates of a running service: renewed in time, taken up without a restart, their ends known."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from cryptography import x509

from healthsync_mqtt.config.private_files import directory_lock, write_durably
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.certificates.book import SERVER, CertificateBook
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
from healthsync_mqtt.identity.login.logins import Demand
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


class ServerTls:
    """TLS contexts of the listeners on the certificates in ``directory``; ConfigError when these are no good."""

    def __init__(
        self, directory: Path, hosts: Sequence[str], book: CertificateBook, minimum: Literal["1.2", "1.3"], now: float
    ) -> None:
        self._directory = directory
        self._hosts = hosts
        self._book = book
        self._minimum = minimum
        self._contexts: list[ssl.SSLContext] = []
        self._check_at = now
        self._stamp = (0, 0)
        self.paths = CertificatePaths.within(directory)
        self.expiry = Expiry(ca=0, server=0, clients=0, clients_ending=0)
        self.upkeep(now)

    def context(self, clients: Demand) -> ssl.SSLContext:
        """A context for a listener that demands ``clients``; it follows the files through ``reload``."""
        made = server_context(self.paths, minimum=self._minimum, clients=_CLIENTS[clients])
        self._contexts.append(made)
        return made

    def upkeep(self, now: float) -> bool:
        """Renew what nears its end, hourly; whether ``reload`` has something to do. Blocks; not on the event loop.

        ConfigError or StoreError when that is not possible now; what is in use stays in use.
        """
        try:
            if now >= self._check_at:
                self._check_at = now + _AGAIN_S
                self._renew(datetime.fromtimestamp(now, UTC))
                self.expiry = self._ends(now)
                self._check_at = now + _CHECK_S
            info = self.paths.server_cert.stat()
        except OSError as error:
            raise ConfigError(
                f"the certificates in {self._directory} cannot be kept up: {error.strerror}",
                hint="see that the disk has room and the files are there: healthsync doctor",
            ) from error
        before, self._stamp = self._stamp, (info.st_ino, info.st_mtime_ns)
        return before != self._stamp

    def reload(self, now: float) -> None:
        """Use the certificate on disk for every handshake from here on; open connections stay as they are."""
        for context in self._contexts:
            load_server_chain(context, self.paths)
        self.expiry = self._ends(now)

    def _renew(self, when: datetime) -> None:
        ensure_ca_and_server(self._directory, self._hosts, when)
        self._book.add(load_certificate(self.paths.server_cert), None, None, micros(when))
        if self.paths.ca_key.exists() and _list_is_old(self.paths, when):
            write_revocation_list(self._directory, self._book, when)

    def _ends(self, now: float) -> Expiry:
        ends = [
            each.expires_us / 1e6
            for each in self._book.issued()
            if each.kind != SERVER and each.expires_us is not None and each.revoked_us is None
        ]
        alive = [end for end in ends if end > now]
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
