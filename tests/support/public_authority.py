"""A CA as public ones are: a root that programs trust, and one below it that signs; certificates come as a chain."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_HOUR = timedelta(hours=1)
_PEM = serialization.Encoding.PEM


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class PublicAuthority:
    """Issues certificates for ``localhost`` through an intermediate CA."""

    def __init__(self) -> None:
        self._root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _name("Invented Public Root")
        self._root = self._signed(root, root, self._root_key.public_key(), self._root_key, ca=True)
        self._issuer = _name("Invented Public E1")
        self._between = self._signed(self._issuer, root, self._key.public_key(), self._root_key, ca=True)

    @property
    def certificate(self) -> bytes:
        """The root, in PEM."""
        return self._root.public_bytes(_PEM)

    def issue(self, chain: Path, key: Path) -> int:
        """A new certificate with its chain, and its key; its serial number."""
        own = ec.generate_private_key(ec.SECP256R1())
        leaf = self._signed(_name("localhost"), self._issuer, own.public_key(), self._key, ca=False)
        chain.write_bytes(leaf.public_bytes(_PEM) + self._between.public_bytes(_PEM))
        plain = serialization.NoEncryption()
        key.write_bytes(own.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain))
        return leaf.serial_number

    @staticmethod
    def _signed(
        subject: x509.Name,
        issuer: x509.Name,
        public: ec.EllipticCurvePublicKey,
        by: ec.EllipticCurvePrivateKey,
        *,
        ca: bool,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _HOUR)
            .not_valid_after(now + timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        )
        if ca:
            usage = {name: name in {"key_cert_sign", "crl_sign"} for name in _USAGES}
            builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
        else:
            names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            builder = builder.add_extension(names, critical=False).add_extension(purpose, critical=False)
        return builder.sign(by, hashes.SHA256())


_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
