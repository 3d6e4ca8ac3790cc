"""The development CA and the server certificate: made and renewed at start, EC P-256 (RFC 5280 profile).

Files: ``ca.crt`` ``ca.key`` ``server.crt`` ``server.key``. A directory without ``ca.key`` holds the operator's own
certificates: they are used as they are and never renewed. Clients trust ``ca.crt``; when the CA is renewed it keeps its
key and name, so that clients with the older file go on working until that file's own end.
"""

import contextlib
import ipaddress
import secrets
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from healthsync_mqtt.config.private_files import (
    check_private,
    directory_lock,
    make_private_directory,
    read_private,
    write_durably,
)
from healthsync_mqtt.errors import ConfigError

CA_LIFE: Final = timedelta(days=3650)
SERVER_LIFE: Final = timedelta(days=90)
RENEW_FRACTION: Final = 1 / 3
"""A certificate is renewed when less than this part of its life is left."""

_BACKDATE = timedelta(hours=1)  # clocks of devices run behind
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePaths:
    """Where the PEM files are. The keys are private (0600)."""

    ca_cert: Path
    ca_key: Path
    server_cert: Path
    server_key: Path

    @classmethod
    def within(cls, directory: Path) -> "CertificatePaths":
        """The usual names in ``directory``."""
        return cls(
            ca_cert=directory / "ca.crt",
            ca_key=directory / "ca.key",
            server_cert=directory / "server.crt",
            server_key=directory / "server.key",
        )


def ensure_ca_and_server(directory: Path, hosts: Iterable[str], now: datetime) -> CertificatePaths:
    """Certificates in ``directory`` that are valid at ``now`` for this machine's names and ``hosts``.

    Creates what is missing and renews what nears its end. ConfigError for loose key files, and for certificates of the
    operator's own that have expired or do not fit their key.
    """
    paths = CertificatePaths.within(make_private_directory(directory))
    names = _names(hosts)
    with directory_lock(directory):
        if not paths.ca_key.exists() and paths.server_cert.exists():
            _check_foreign(paths, now)
            return paths
        ca_key, ca = _ensure_ca(paths, now)
        if not _server_is_good(paths, ca, names, now):
            _issue_server(paths, ca_key, ca, names, now)
    return paths


def server_context(paths: CertificatePaths, *, minimum: Literal["1.2", "1.3"] = "1.2") -> ssl.SSLContext:
    """TLS for the listeners: 1.3 preferred, 1.2 only with ECDHE and an AEAD cipher, no compression or renegotiation."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    if minimum == "1.3":
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    check_private(paths.server_key)
    try:
        context.load_cert_chain(paths.server_cert, paths.server_key)
    except (ssl.SSLError, FileNotFoundError) as error:
        raise ConfigError(
            f"{paths.server_cert} and {paths.server_key} are not a certificate and its key",
            hint="restore both, or move both away for new ones",
        ) from error
    return context


def client_context(ca_file: Path) -> ssl.SSLContext:
    """TLS for our own clients: the host name is checked and only ``ca_file`` is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(cafile=ca_file)
    except (ssl.SSLError, FileNotFoundError) as error:
        raise ConfigError(f"{ca_file} is not a CA certificate", hint="give the ca.crt of the service") from error
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION


def _names(hosts: Iterable[str]) -> x509.SubjectAlternativeName:
    own = socket.gethostname()
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys((*_LOCAL, own, *hosts)):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            # This machine's own name may be none that a certificate can carry; one that was asked for must be.
            with contextlib.suppress(ConfigError) if host == own else contextlib.nullcontext():
                names.append(_dns_name(host))
    return x509.SubjectAlternativeName(names)


def _dns_name(host: str) -> x509.DNSName:
    labels = host.removeprefix("*.").split(".")
    if len(host) > 253 or not all(
        0 < len(label) < 64 and label.isascii() and label.replace("-", "").replace("_", "").isalnum()
        for label in labels
    ):
        raise ConfigError(f"{host!r} is not a host name", hint="write internationalised names in their xn-- form")
    return x509.DNSName(host)


def _ensure_ca(paths: CertificatePaths, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    if paths.ca_key.exists():
        key = _load_key(paths.ca_key)
        ca = _load_certificate(paths.ca_cert) if paths.ca_cert.exists() else None
        if ca is not None and ca.public_key() != key.public_key():
            raise ConfigError(f"{paths.ca_cert} does not fit {paths.ca_key}", hint="restore both from one backup")
        if ca is not None and not _nears_its_end(ca, now):
            return key, ca
    else:
        key, ca = ec.generate_private_key(ec.SECP256R1()), None
        _write_key(paths.ca_key, key)
    ca = _issue_ca(key, ca.subject if ca is not None else _ca_name(), now)
    write_durably(paths.ca_cert, _pem(ca), mode=0o644)
    return key, ca


def _ca_name() -> x509.Name:
    # Two installations must not share a name: a client that trusts both finds the issuer by it.
    common_name = f"HealthSync development CA {secrets.token_hex(4)}"
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _issue_ca(key: ec.EllipticCurvePrivateKey, name: x509.Name, now: datetime) -> x509.Certificate:
    public = key.public_key()
    return (
        _builder(name, name, public, now, now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _issue_server(
    paths: CertificatePaths,
    ca_key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    names: x509.SubjectAlternativeName,
    now: datetime,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "HealthSync server")])
    end = min(now + SERVER_LIFE, ca.not_valid_after_utc)
    certificate = (
        _builder(subject, ca.subject, key.public_key(), now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write_key(paths.server_key, key)  # a crash between the two files is seen at the next start: they do not fit
    write_durably(paths.server_cert, _pem(certificate), mode=0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _BACKDATE)
        .not_valid_after(end.astimezone(UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _server_is_good(
    paths: CertificatePaths, ca: x509.Certificate, names: x509.SubjectAlternativeName, now: datetime
) -> bool:
    if not paths.server_cert.exists() or not paths.server_key.exists():
        return False
    certificate = _load_certificate(paths.server_cert)
    if certificate.public_key() != _load_key(paths.server_key).public_key() or _nears_its_end(certificate, now):
        return False
    try:
        certificate.verify_directly_issued_by(ca)
        covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # noqa: BLE001 - whatever does not verify is replaced
        return False
    return set(names) <= set(covered)


def _nears_its_end(certificate: x509.Certificate, now: datetime) -> bool:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now < start or end - now < (end - start) * RENEW_FRACTION


def _check_foreign(paths: CertificatePaths, now: datetime) -> None:
    for path in (paths.ca_cert, paths.server_cert):
        certificate = _load_certificate(path)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise ConfigError(f"{path} is not valid now", hint="put a new certificate there; only our own CA renews")
    check_private(paths.server_key)


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing", hint="restore it from a backup") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not a PEM certificate", hint="restore it, or move it away") from error


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path} is not an EC private key", hint="restore it, or move it away with its certificate")
    return key


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    write_durably(path, key.private_bytes(encoding, form, serialization.NoEncryption()))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
