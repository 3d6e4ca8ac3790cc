"""Certificates on their way from the CA into files, and what a file says."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.config.private_files import write_durably
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConflictError, InputError, NotFoundError, UsageError
from healthsync_mqtt.identity.certificates.files import (
    host_names,
    open_authority,
    pem,
    renew_server,
    write_key,
)
from healthsync_mqtt.identity.certificates.issuing import requested_key
from healthsync_mqtt.identity.certificates.serial import serial_text
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.times import iso, micros

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes


def issue_client(
    place: DataDirectory,
    kind: str,
    names: Sequence[str],
    csr: Path | None,
    out: Path,
    *,
    lifetime: timedelta,
    again: bool = False,
) -> dict[str, Any]:
    """A certificate for a registered principal, as files in ``out``; ``again``: it has to have one already."""
    now = datetime.now(UTC)
    with place.registry() as registry:
        principal = _principal(registry, kind, names)
        client_id = principal.client_id
        if again and not registry.certificates.issued(client_id):
            named = " ".join(names)
            raise NotFoundError(f"{client_id} has no certificate yet", hint=f"healthsync cert issue {kind} {named}")
        files = _Files(out, client_id, csr, replace=again)
        authority = open_authority(place.certs, now)
        made = authority.client(files.public, principal.role, client_id, now, lifetime)
        registry.certificates.add(made, principal.role, client_id, micros(now))  # before anybody can use it
    return files.write(made) | {"client_id": client_id, "ca_file": str(place.certs / "ca.crt")}


def issue_server(place: DataDirectory, hosts: Sequence[str], csr: Path | None, out: Path) -> dict[str, Any]:
    """A certificate for another server under ``hosts``, as files in ``out``."""
    if not hosts:
        raise UsageError("under which name is the server reached?", hint="healthsync cert issue server --host NAME")
    now = datetime.now(UTC)
    files = _Files(out, hosts[0].replace("*", "any").replace(":", "-"), csr, replace=False)
    with place.registry() as registry:
        made = open_authority(place.certs, now).server(files.public, host_names(hosts), now)
        registry.certificates.add(made, None, None, micros(now))
    return files.write(made) | {"client_id": None, "ca_file": str(place.certs / "ca.crt")}


def renewed_server(place: DataDirectory) -> dict[str, Any]:
    """A new certificate of the service itself, where the old one lay."""
    now = datetime.now(UTC)
    hosts = load_settings(place.path).broker.certificate_hosts
    with place.registry() as registry:
        made = renew_server(place.certs, hosts, now)
        registry.certificates.add(made, None, None, micros(now))
    return {
        "serial": serial_text(made),
        "certificate": str(place.certs / "server.crt"),
        "key": str(place.certs / "server.key"),
        "expires_at": iso(micros(made.not_valid_after_utc)),
        "client_id": None,
        "ca_file": str(place.certs / "ca.crt"),
    }


def inspected(place: DataDirectory, file: Path, now: datetime) -> dict[str, Any]:
    """What a certificate says, and what the registry knows of it; InputError when the file holds none."""
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        raise InputError(f"{file} is not a PEM certificate", hint="give a .crt file") from None
    serial = serial_text(certificate)
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    state = "not yet valid" if now < start else "expired" if now >= end else "valid"
    revoked_at = None
    if place.has_registry():
        with place.registry() as registry:
            known = next((each for each in registry.certificates.issued() if each.serial == serial), None)
        if known is not None and known.revoked_us is not None:
            state, revoked_at = "revoked", iso(known.revoked_us)
    return {
        "serial": serial,
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "names": _names(certificate),
        "purposes": _purposes(certificate),
        "valid_from": iso(micros(start)),
        "expires_at": iso(micros(end)),
        "days_left": (end - now).days,
        "state": state,
        "revoked_at": revoked_at,
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
    }


class _Files:
    """Where a certificate and its key go. With a request there is no key to write, and none is ever seen."""

    _key: ec.EllipticCurvePrivateKey | None
    public: "CertificatePublicKeyTypes"

    def __init__(self, out: Path, name: str, csr: Path | None, *, replace: bool) -> None:
        self._certificate, self._key_file = out / f"{name}.crt", out / f"{name}.key"
        if not out.is_dir():
            raise InputError(f"{out} is not a directory", hint=f"mkdir {out}")
        if not os.access(out, os.W_OK | os.X_OK):
            raise InputError(f"nothing can be written in {out}", hint="give another --out")
        if csr is not None:
            self._key = None
            self.public = _requested(csr)
            return
        if self._key_file.exists() and not replace:
            raise ConflictError(f"{self._key_file} exists already", hint="move it away, or give another --out")
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public = self._key.public_key()

    def write(self, certificate: x509.Certificate) -> dict[str, Any]:
        """Write the files, the key privately, and say which."""
        if self._key is not None:
            write_key(self._key_file, self._key)
        write_durably(self._certificate, pem(certificate), mode=0o644)
        return {
            "serial": serial_text(certificate),
            "certificate": str(self._certificate),
            "key": None if self._key is None else str(self._key_file),
            "expires_at": iso(micros(certificate.not_valid_after_utc)),
        }


def _requested(csr: Path) -> "CertificatePublicKeyTypes":
    try:
        return requested_key(csr.read_bytes())
    except OSError as error:
        raise InputError(f"{csr} cannot be read: {error.strerror}", hint="give the .csr file") from None


def _principal(registry: Registry, kind: str, names: Sequence[str]) -> Principal:
    match kind, list(names):
        case Role.device.value, [user, device]:
            return registry.device(user, device).principal
        case Role.subscriber.value, [name]:
            return registry.subscriber(name).principal
        case Role.device.value, _:
            raise UsageError("which device?", hint="healthsync cert issue device USER DEVICE")
        case Role.subscriber.value, _:
            raise UsageError("which subscriber?", hint="healthsync cert issue subscriber NAME")
    raise UsageError(f"{kind} is not a kind of certificate", hint="device, subscriber or server")


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _purposes(certificate: x509.Certificate) -> list[str]:
    try:
        if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return ["ca"]
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return []
    words = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}
    return [words.get(purpose, purpose.dotted_string) for purpose in usage]
