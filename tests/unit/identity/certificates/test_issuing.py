"""Client certificates and revocation lists: who they name, how long they live, what OpenSSL makes of them."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from healthsync_mqtt.errors import ConfigError, ConflictError, InputError, TokenError
from healthsync_mqtt.identity.certificates.files import (
    CertificatePaths,
    client_context,
    create_authority,
    ensure_ca_and_server,
    load_certificate,
    load_server_chain,
    open_authority,
    pem,
    renew_server,
    server_context,
    write_key,
)
from healthsync_mqtt.identity.certificates.issuing import (
    Authority,
    holder_of,
    new_authority,
    requested_key,
)
from healthsync_mqtt.identity.certificates.serial import serial_text
from healthsync_mqtt.model.principal import Role

NOW = datetime.now(UTC).replace(microsecond=0)
CA_KEY = ec.generate_private_key(ec.SECP256R1())
CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
CA = Authority(key=CA_KEY, certificate=new_authority(CA_KEY, CA_NAME, NOW))
KEY = ec.generate_private_key(ec.SECP256R1())
DER = serialization.Encoding.DER


def device(client_id: str = "alice-watch", days: float = 30) -> x509.Certificate:
    return CA.client(KEY.public_key(), Role.device, client_id, NOW, timedelta(days=days))


def with_names(*names: x509.GeneralName) -> bytes:
    """A certificate of our CA with other names in it, as a careless operator of a foreign CA might make it."""
    builder = (
        x509.CertificateBuilder().subject_name(CA_NAME).issuer_name(CA_NAME).public_key(KEY.public_key())
        .serial_number(7).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    )  # fmt: skip
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(CA_KEY, hashes.SHA256()).public_bytes(DER)


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def request(key, *, sign_with=None) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bob-watch")])
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def test_a_device_certificate_names_its_device_and_nobody_else() -> None:
    made = device()
    assert (made.not_valid_after_utc - NOW) == timedelta(days=30)
    verified = PolicyBuilder().store(Store([CA.certificate])).time(NOW).build_client_verifier().verify(made, [])
    assert verified.subjects is not None
    assert [name.value for name in verified.subjects] == ["urn:healthsync:device:alice-watch"]
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    holder = holder_of(made.public_bytes(DER))
    assert (holder.role, holder.client_id, holder.serial) == (Role.device, "alice-watch", serial_text(made))
    assert holder.expires_at == made.not_valid_after_utc.timestamp()


@pytest.mark.parametrize("days", [0, -1, 90.01, 365])
def test_a_client_certificate_lives_at_most_ninety_days(days: float) -> None:
    with pytest.raises(InputError, match="90 days"):
        device(days=days)
    assert device(days=90).not_valid_after_utc - NOW == timedelta(days=90)


@pytest.mark.parametrize("role", [Role.bridge, Role.adapter])
def test_roles_of_our_own_get_no_certificate(role: Role) -> None:
    with pytest.raises(InputError):
        CA.client(KEY.public_key(), role, "x", NOW, timedelta(days=1))


@pytest.mark.parametrize(
    "names",
    [
        (),
        (uri("urn:healthsync:device:a"), uri("urn:healthsync:device:b")),
        (uri("urn:healthsync:device:a"), x509.DNSName("localhost")),
        (x509.DNSName("urn:healthsync:device:a"),),
        (uri("urn:healthsync:device:"),),
        (uri("urn:healthsync:device:a/b"),),
        (uri("urn:healthsync:device:+"),),
        (uri("urn:healthsync:device:#"),),
        (uri("urn:healthsync:device:a\x00b"),),
        (uri("urn:healthsync:device:a%00"),),
        (uri("urn:healthsync:device:" + "a" * 65),),
        (uri("xurn:healthsync:device:a"),),
        (uri("urn:healthsync:device:a "),),
        (uri("urn:healthsync:device:a\n"),),
        (uri("URN:healthsync:device:a"),),
        (uri("urn:healthsync:bridge:a"),),
        (uri("urn:healthsync:adapter:a"),),
        (uri("urn:healthsync:enroll:a"),),
        (uri("https://example.org/urn:healthsync:device:a"),),
    ],
    ids=lambda names: "|".join(repr(name.value) for name in names) or "none",
)
def test_t11_only_one_exact_name_is_a_name(names: tuple[x509.GeneralName, ...]) -> None:
    with pytest.raises(TokenError):
        holder_of(with_names(*names))


@pytest.mark.parametrize("der", [b"", b"0", b"\x30\x82", device().public_bytes(DER)[:-1]])
def test_what_is_no_certificate_is_nobody(der: bytes) -> None:
    with pytest.raises(TokenError):
        holder_of(der)


def test_of_a_request_only_the_key_counts() -> None:
    for key in (KEY, ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        public = requested_key(request(key))
        assert public == key.public_key()
        made = CA.client(public, Role.device, "alice-watch", NOW, timedelta(days=1))
        assert holder_of(made.public_bytes(DER)).client_id == "alice-watch"


def test_requests_that_prove_nothing_are_refused() -> None:
    good = request(KEY)
    other = x509.load_pem_x509_csr(request(ec.generate_private_key(ec.SECP256R1()))).signature
    der = x509.load_pem_x509_csr(good).public_bytes(DER)
    forged = der.replace(x509.load_pem_x509_csr(good).signature[-8:], other[-8:])
    import base64

    armoured = b"-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n" % base64.encodebytes(
        forged
    )
    for content in (b"", b"nothing", good[:-40], armoured):
        with pytest.raises(InputError):
            requested_key(content)


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP192R1())], ids=["rsa1024", "p192"]
)
def test_weak_keys_are_refused(key) -> None:
    with pytest.raises(InputError):
        requested_key(request(key))


def test_the_revocation_list_is_one_for_others() -> None:
    gone = device()
    made = CA.revocation_list([(gone.serial_number, NOW)], 7, NOW)
    assert made.is_signature_valid(CA_KEY.public_key())
    assert made.get_revoked_certificate_by_serial_number(gone.serial_number) is not None
    assert made.get_revoked_certificate_by_serial_number(device().serial_number) is None
    assert made.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 7
    assert made.next_update_utc is not None
    assert made.next_update_utc - NOW == timedelta(days=30)


def test_a_ca_is_made_once_and_a_foreign_one_signs_nothing(tmp_path: Path) -> None:
    create_authority(tmp_path / "a", NOW)
    with pytest.raises(ConflictError):
        create_authority(tmp_path / "a", NOW)
    paths = ensure_ca_and_server(tmp_path / "b", [], NOW)
    paths.ca_key.unlink()
    for refused in (lambda: open_authority(tmp_path / "b", NOW), lambda: renew_server(tmp_path / "b", [], NOW)):
        with pytest.raises(ConfigError, match="not ours"):
            refused()
    assert ensure_ca_and_server(tmp_path / "b", [], NOW) == paths


# -- in a TLS handshake


@pytest.fixture
def paths(tmp_path: Path) -> CertificatePaths:
    return ensure_ca_and_server(tmp_path / "certs", [], NOW)


def client(paths: CertificatePaths, certificate: x509.Certificate | None, directory: Path) -> ssl.SSLContext:
    context = client_context(paths.ca_cert)
    if certificate is not None:
        (directory / "client.crt").write_bytes(pem(certificate))
        write_key(directory / "client.key", KEY)
        context.load_cert_chain(directory / "client.crt", directory / "client.key")
    return context


def shaken(server: ssl.SSLContext, peer: ssl.SSLContext) -> bytes | None:
    """The client certificate that the server ends up with; SSLError when it will not."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        peer.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    return ends[1].getpeercert(binary_form=True)


def test_the_listener_asks_as_it_is_told(paths: CertificatePaths, tmp_path: Path) -> None:
    ours = open_authority(tmp_path / "certs", NOW).client(
        KEY.public_key(), Role.device, "alice-watch", NOW, timedelta(days=1)
    )
    with_one, without = client(paths, ours, tmp_path), client(paths, None, tmp_path)
    der = ours.public_bytes(DER)
    assert shaken(server_context(paths), with_one) is None
    assert shaken(server_context(paths, clients="optional"), without) is None
    assert shaken(server_context(paths, clients="optional"), with_one) == der
    assert shaken(server_context(paths, clients="required"), with_one) == der
    with pytest.raises(ssl.SSLError):
        shaken(server_context(paths, clients="required"), without)


def test_certificates_of_others_and_for_other_purposes_are_refused(paths: CertificatePaths, tmp_path: Path) -> None:
    authority = open_authority(tmp_path / "certs", NOW)
    expired = authority.client(KEY.public_key(), Role.device, "a", NOW - timedelta(days=3), timedelta(days=1))
    server = authority.server(
        KEY.public_key(), x509.SubjectAlternativeName([uri("urn:healthsync:device:alice-watch")]), NOW
    )
    for certificate in (device(), expired, server):
        for clients in ("optional", "required"):
            with pytest.raises(ssl.SSLError):
                shaken(server_context(paths, clients=clients), client(paths, certificate, tmp_path))  # type: ignore[arg-type]


def test_a_renewed_server_certificate_is_taken_up(paths: CertificatePaths) -> None:
    context = server_context(paths)
    first = load_certificate(paths.server_cert)
    renewed = renew_server(paths.server_cert.parent, [], NOW)
    assert renewed.serial_number != first.serial_number
    load_server_chain(context, paths)
    assert shaken(context, client_context(paths.ca_cert)) is None
