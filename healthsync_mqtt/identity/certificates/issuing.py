"""Certificates and revocation lists as they are made (RFC 5280): EC P-256, SHA-256, random serial numbers. No files.

A client certificate names its holder by one SAN URI, ``urn:healthsync:<role>:<client id>``, compared as a whole. The
common name says the client id again, for other brokers that look there; nothing here reads it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from healthsync_mqtt.errors import InputError, TokenError
from healthsync_mqtt.identity.certificates.serial import serial_text
from healthsync_mqtt.model.principal import Role

CA_LIFE: Final = timedelta(days=3650)
SERVER_LIFE: Final = timedelta(days=90)
CLIENT_LIFE_MAX: Final = timedelta(days=90)
CRL_LIFE: Final = timedelta(days=30)
RENEW_FRACTION: Final = 1 / 3
"""A certificate is renewed when less than this part of its life is left."""

CLIENT_ROLES: Final = frozenset({Role.device, Role.subscriber, Role.admin})
"""Who may have a client certificate."""

_BACKDATE: Final = timedelta(hours=1)  # clocks of devices run behind
_URN: Final = re.compile(r"urn:healthsync:([a-z]+):([A-Za-z0-9_-]{1,64})")
_SMALLEST_RSA: Final = 2048
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateHolder:
    """What a client certificate says: whose it is, its serial number (hexadecimal), its end (epoch seconds, excl.)."""

    role: Role
    client_id: str
    serial: str
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA that can sign."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def server(
        self, public: CertificatePublicKeyTypes, names: x509.SubjectAlternativeName, now: datetime
    ) -> x509.Certificate:
        """A certificate for listeners under ``names``."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "HealthSync server")])
        return self._leaf(subject, public, names, purpose=ExtendedKeyUsageOID.SERVER_AUTH, now=now, life=SERVER_LIFE)

    def client(
        self, public: CertificatePublicKeyTypes, role: Role, client_id: str, now: datetime, lifetime: timedelta
    ) -> x509.Certificate:
        """A certificate to log in with; ``lifetime`` at most ``CLIENT_LIFE_MAX``. InputError otherwise."""
        if role not in CLIENT_ROLES:
            raise InputError(f"the role {role} has no certificates")
        if not timedelta(0) < lifetime <= CLIENT_LIFE_MAX:
            raise InputError(f"a client certificate lives at most {CLIENT_LIFE_MAX.days} days", hint="choose fewer")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, client_id)])
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:healthsync:{role}:{client_id}")])
        return self._leaf(subject, public, names, purpose=ExtendedKeyUsageOID.CLIENT_AUTH, now=now, life=lifetime)

    def revocation_list(
        self, revoked: Iterable[tuple[int, datetime]], number: int, now: datetime
    ) -> x509.CertificateRevocationList:
        """A list of serial numbers with the times they were revoked; ``number`` grows with every list."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now.astimezone(UTC) - _BACKDATE)
            .next_update(now.astimezone(UTC) + CRL_LIFE)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for serial, when in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256())

    def _leaf(
        self,
        subject: x509.Name,
        public: CertificatePublicKeyTypes,
        names: x509.SubjectAlternativeName,
        *,
        purpose: x509.ObjectIdentifier,
        now: datetime,
        life: timedelta,
    ) -> x509.Certificate:
        end = min(now + life, self.certificate.not_valid_after_utc)
        return (
            _builder(subject, self.certificate.subject, public, now, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(names, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def new_authority(key: ec.EllipticCurvePrivateKey, name: x509.Name, now: datetime) -> x509.Certificate:
    """A self-signed CA certificate."""
    public = key.public_key()
    return (
        _builder(name, name, public, now, now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def nears_its_end(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate should be renewed at ``now``, or is not valid yet."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now < start or end - now < (end - start) * RENEW_FRACTION


def holder_of(der: bytes) -> CertificateHolder:
    """Whose a client certificate is; TokenError unless exactly one SAN URI names one principal.

    The TLS layer has verified chain, dates and purpose.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, UnsupportedAlgorithm):
        raise TokenError("the client certificate has no names that can be read") from None
    if len(uris) != 1 or len(list(names)) != 1:
        raise TokenError("the client certificate does not have exactly one name")
    found = _URN.fullmatch(uris[0])
    role = Role(found[1]) if found and found[1] in CLIENT_ROLES else None
    if found is None or role is None:
        raise TokenError("the client certificate names no principal of ours")
    return CertificateHolder(
        role=role,
        client_id=found[2],
        serial=serial_text(certificate),
        expires_at=certificate.not_valid_after_utc.timestamp(),
    )


def requested_key(pem: bytes) -> CertificatePublicKeyTypes:
    """The public key of a PEM certificate signing request; InputError unless its holder has the private half.

    Only the key is taken from the request: the names in a certificate are ours to give.
    """
    try:
        request = x509.load_pem_x509_csr(pem)
        public = request.public_key()
        proved = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(
            "not a certificate signing request in PEM",
            hint="openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / -keyout K -out CSR",
        ) from None
    if not proved:
        raise InputError("the request is not signed with its own key", hint="make the request anew on the device")
    strong = (
        isinstance(public, ed25519.Ed25519PublicKey)
        or (isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in _CURVES)
        or (isinstance(public, rsa.RSAPublicKey) and public.key_size >= _SMALLEST_RSA)
    )
    if not strong:
        raise InputError("the request has a weak or unusual key", hint="use EC P-256, Ed25519, or RSA of 2048 bits")
    return public


def _builder(
    subject: x509.Name, issuer: x509.Name, public: CertificatePublicKeyTypes, now: datetime, end: datetime
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
