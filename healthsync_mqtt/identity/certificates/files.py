"""The CA and the server certificate as files, made and renewed at start, and the TLS contexts that use them.

``ca.key`` is under the passphrase of the keys when there is one (``server.key`` is not: OpenSSL reads it at each swap).

Files: ``ca.crt`` ``ca.key`` ``ca.crl`` ``server.crt`` ``server.key``. A directory without ``ca.key`` holds the
operator's own certificates: they are used as they are and never renewed. Clients trust ``ca.crt``; when the CA is
renewed it keeps its key and name, so that clients with the older file go on working until that file's own end.
"""

import ipaddress
import secrets
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from healthsync_mqtt.config.private_files import (
    check_private,
    directory_lock,
    make_private_directory,
    read_private,
    write_durably,
)
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE_FILE, key_passphrase, passphrase_or_asked
from healthsync_mqtt.errors import ConfigError, ConflictError
from healthsync_mqtt.identity.certificates.issuing import Authority, nears_its_end, new_authority
from healthsync_mqtt.identity.certificates.records import ServerContext

_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePaths:
    """Where the PEM files are. The keys are private (0600)."""

    ca_cert: Path
    ca_key: Path
    ca_crl: Path
    server_cert: Path
    server_key: Path

    @classmethod
    def within(cls, directory: Path) -> "CertificatePaths":
        """The usual names in ``directory``."""
        return cls(
            ca_cert=directory / "ca.crt",
            ca_key=directory / "ca.key",
            ca_crl=directory / "ca.crl",
            server_cert=directory / "server.crt",
            server_key=directory / "server.key",
        )


def ensure_ca_and_server(directory: Path, hosts: Iterable[str], now: datetime) -> CertificatePaths:
    """Certificates in ``directory`` that are valid at ``now`` for this machine's names and ``hosts``.

    Creates what is missing and renews what nears its end. ConfigError for loose key files, and for certificates of the
    operator's own that have expired or do not fit their key.
    """
    return _ensure(directory, hosts, now, renew=False)


def renew_server(directory: Path, hosts: Iterable[str], now: datetime) -> x509.Certificate:
    """A new server certificate in place of the old one. A running service takes it up by itself."""
    return load_certificate(_ensure(directory, hosts, now, renew=True).server_cert)


def create_authority(directory: Path, now: datetime) -> Authority:
    """A new CA in ``directory``; ConflictError when there is one already."""
    paths = CertificatePaths.within(make_private_directory(directory))
    with directory_lock(directory):
        if paths.ca_key.exists() or paths.ca_cert.exists():
            raise ConflictError(
                f"there is a CA in {directory} already",
                hint="move the directory away for a new one; every client then needs the new ca.crt",
            )
        return _ensure_ca(paths, now)


def open_authority(directory: Path, now: datetime) -> Authority:
    """The CA in ``directory``, created when there is none. ConfigError when it is not ours to sign with."""
    paths = CertificatePaths.within(make_private_directory(directory))
    with directory_lock(directory):
        _refuse_foreign(paths)
        return _ensure_ca(paths, now)


def server_context(
    paths: CertificatePaths,
    *,
    minimum: Literal["1.2", "1.3"] = "1.2",
    clients: Literal["off", "optional", "required"] = "off",
) -> ssl.SSLContext:
    """TLS for a listener: 1.3 preferred, 1.2 only with ECDHE and an AEAD cipher, no compression or renegotiation.

    With ``clients`` a client is asked for a certificate of our CA, or must have one. Which principal it names, and
    whether it was revoked, is for the door to decide.
    """
    context = ServerContext()
    _harden(context)
    if minimum == "1.3":
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    load_server_chain(context, paths)
    if clients != "off":
        context.verify_mode = ssl.CERT_REQUIRED if clients == "required" else ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.num_tickets = 0  # a resumed session would bring a certificate that was not looked at again
        context.options |= ssl.OP_NO_TICKET
        context.load_verify_locations(cafile=paths.ca_cert)
    return context


def load_server_chain(context: ssl.SSLContext, paths: CertificatePaths) -> None:
    """Use the server certificate as it is on disk now, for every handshake from here on."""
    check_private(paths.server_key)
    try:
        context.load_cert_chain(paths.server_cert, paths.server_key)
    except (ssl.SSLError, FileNotFoundError) as error:
        raise ConfigError(
            f"{paths.server_cert} and {paths.server_key} are not a certificate and its key",
            hint="restore both, or move both away for new ones",
        ) from error


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


def load_certificate(path: Path) -> x509.Certificate:
    """The certificate in a PEM file; ConfigError when there is none."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing", hint="restore it from a backup") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not a PEM certificate", hint="restore it, or move it away") from error


def host_names(hosts: Iterable[str]) -> x509.SubjectAlternativeName:
    """Names and addresses of a server as its certificate carries them, each once; ConfigError for what is neither."""
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys(hosts):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(_dns_name(host))
    return x509.SubjectAlternativeName(names)


def write_key(path: Path, key: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> None:
    """A private key as a private file (PKCS #8), encrypted where there is a passphrase."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    write_durably(path, key.private_bytes(encoding, form, encryption))


def pem(certificate: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    """In PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _ensure(directory: Path, hosts: Iterable[str], now: datetime, *, renew: bool) -> CertificatePaths:
    paths = CertificatePaths.within(make_private_directory(directory))
    names = _own_names(hosts)
    with directory_lock(directory):
        if not paths.ca_key.exists() and paths.server_cert.exists():
            if renew:
                _refuse_foreign(paths)
            _check_foreign(paths, now)
            return paths
        authority = _ensure_ca(paths, now)
        if renew or not _server_is_good(paths, authority.certificate, names, now):
            _issue_server(paths, authority, names, now)
    return paths


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION


def _own_names(hosts: Iterable[str]) -> x509.SubjectAlternativeName:
    own = socket.gethostname()
    try:
        host_names([own])
    except ConfigError:  # this machine's own name may be none that a certificate can carry
        return host_names((*_LOCAL, *hosts))
    return host_names((*_LOCAL, own, *hosts))


def _dns_name(host: str) -> x509.DNSName:
    labels = host.removeprefix("*.").split(".")
    if len(host) > 253 or not all(
        0 < len(label) < 64 and label.isascii() and label.replace("-", "").replace("_", "").isalnum()
        for label in labels
    ):
        raise ConfigError(f"{host!r} is not a host name", hint="write internationalised names in their xn-- form")
    return x509.DNSName(host)


def _ensure_ca(paths: CertificatePaths, now: datetime) -> Authority:
    passphrase = key_passphrase()
    if paths.ca_key.exists():
        if passphrase is None and _is_encrypted(paths.ca_key):
            passphrase = passphrase_or_asked()
        key = _load_key(paths.ca_key, passphrase)
        if passphrase is not None and not _is_encrypted(paths.ca_key):
            write_key(paths.ca_key, key, passphrase)  # it was made before there was a passphrase
        ca = load_certificate(paths.ca_cert) if paths.ca_cert.exists() else None
        if ca is not None and ca.public_key() != key.public_key():
            raise ConfigError(f"{paths.ca_cert} does not fit {paths.ca_key}", hint="restore both from one backup")
        if ca is not None and not nears_its_end(ca, now):
            return Authority(key=key, certificate=ca)
    else:
        key, ca = ec.generate_private_key(ec.SECP256R1()), None
        write_key(paths.ca_key, key, passphrase)
    ca = new_authority(key, ca.subject if ca is not None else _ca_name(), now)
    write_durably(paths.ca_cert, pem(ca), mode=0o644)
    return Authority(key=key, certificate=ca)


def _refuse_foreign(paths: CertificatePaths) -> None:
    if not paths.ca_key.exists() and (paths.ca_cert.exists() or paths.server_cert.exists()):
        raise ConfigError(
            f"{paths.ca_key} is not there: the CA is not ours", hint="have its owner issue and revoke certificates"
        )


def _ca_name() -> x509.Name:
    # Two installations must not share a name: a client that trusts both finds the issuer by it.
    common_name = f"HealthSync development CA {secrets.token_hex(4)}"
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _issue_server(
    paths: CertificatePaths, authority: Authority, names: x509.SubjectAlternativeName, now: datetime
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.server(key.public_key(), names, now)
    write_key(paths.server_key, key)  # a crash between the two files is seen at the next start: they do not fit
    write_durably(paths.server_cert, pem(certificate), mode=0o644)


def _server_is_good(
    paths: CertificatePaths, ca: x509.Certificate, names: x509.SubjectAlternativeName, now: datetime
) -> bool:
    if not paths.server_cert.exists() or not paths.server_key.exists():
        return False
    certificate = load_certificate(paths.server_cert)
    if certificate.public_key() != _load_key(paths.server_key).public_key() or nears_its_end(certificate, now):
        return False
    try:
        certificate.verify_directly_issued_by(ca)
        covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # noqa: BLE001 - whatever does not verify is replaced
        return False
    return set(names) <= set(covered)


def _check_foreign(paths: CertificatePaths, now: datetime) -> None:
    for path in (paths.ca_cert, paths.server_cert):
        certificate = load_certificate(path)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise ConfigError(f"{path} is not valid now", hint="put a new certificate there; only our own CA renews")
    check_private(paths.server_key)


def _is_encrypted(path: Path) -> bool:
    return b"ENCRYPTED" in read_private(path).split(b"\n", 1)[0]


def _load_key(path: Path, passphrase: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    encrypted = _is_encrypted(path)
    if encrypted and passphrase is None:
        raise ConfigError(f"{path} is encrypted and there is no passphrase", hint=f"set {KEY_PASSPHRASE_FILE}")
    try:
        key = serialization.load_pem_private_key(read_private(path), password=passphrase if encrypted else None)
    except (ValueError, TypeError):
        if encrypted:
            raise ConfigError(
                f"{path} does not open with this passphrase", hint=f"check {KEY_PASSPHRASE_FILE}"
            ) from None
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path} is not an EC private key", hint="restore it, or move it away with its certificate")
    return key
