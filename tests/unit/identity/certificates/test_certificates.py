"""Certificates: a chain that strict verifiers accept, renewed in time, private keys, and a TLS handshake in memory."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.certificates.files import (
    CertificatePaths,
    client_context,
    ensure_ca_and_server,
    server_context,
)

NOW = datetime.now(UTC)  # OpenSSL reads the machine's clock in the handshake; everything else is relative to this


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    return tmp_path / "certs"


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> ssl.SSLObject:
    """Both ends in memory; returns the client's."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
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
    return ends[0]


def test_the_files_and_their_modes(certs: Path) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    assert paths == CertificatePaths.within(certs)
    assert {path.stat().st_mode & 0o777 for path in (paths.ca_key, paths.server_key)} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (paths.ca_cert, paths.server_cert)} == {0o644}


def test_the_chain_satisfies_an_independent_verifier(certs: Path) -> None:
    paths = ensure_ca_and_server(certs, ["hub.example.org", "192.0.2.7"], NOW)
    ca, server = load(paths.ca_cert), load(paths.server_cert)
    assert ca.subject != server.subject
    assert ca.not_valid_after_utc - NOW > timedelta(days=3640)
    assert timedelta(days=89) < server.not_valid_after_utc - NOW <= timedelta(days=90)
    for name in (x509.DNSName("localhost"), x509.DNSName("hub.example.org")):
        verifier = PolicyBuilder().store(Store([ca])).time(NOW).build_server_verifier(name)
        assert verifier.verify(server, [])[0] == server
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"127.0.0.1", "::1", "192.0.2.7"} <= {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}


def test_two_installations_have_different_authorities(tmp_path: Path) -> None:
    first, second = (load(ensure_ca_and_server(tmp_path / name, [], NOW).ca_cert) for name in ("a", "b"))
    assert first.subject != second.subject


def test_nothing_changes_while_they_are_good(certs: Path) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    before = {path.name: path.read_bytes() for path in certs.iterdir()}
    ensure_ca_and_server(certs, [], NOW + timedelta(days=59))
    assert {path.name: path.read_bytes() for path in certs.iterdir()} == before
    assert paths.ca_cert.exists()


def test_the_server_certificate_is_renewed_with_a_third_of_its_life_left(certs: Path) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    first, ca = load(paths.server_cert), paths.ca_cert.read_bytes()
    later = NOW + timedelta(days=61)
    ensure_ca_and_server(certs, [], later)
    renewed = load(paths.server_cert)
    assert renewed.serial_number != first.serial_number
    assert renewed.not_valid_after_utc > later + timedelta(days=89)
    assert paths.ca_cert.read_bytes() == ca


def test_another_host_gets_a_new_certificate(certs: Path) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    first = paths.server_cert.read_bytes()
    ensure_ca_and_server(certs, ["hub.example.org"], NOW)
    second = paths.server_cert.read_bytes()
    assert second != first
    ensure_ca_and_server(certs, [], NOW)
    assert paths.server_cert.read_bytes() == second  # it covers more than is asked for


def test_the_authority_is_renewed_with_its_key_so_that_older_clients_go_on(certs: Path) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    old = load(paths.ca_cert)
    later = NOW + timedelta(days=2500)
    ensure_ca_and_server(certs, [], later)
    new = load(paths.ca_cert)
    assert new.serial_number != old.serial_number
    assert (new.subject, new.public_key()) == (old.subject, old.public_key())
    for ca in (old, new):
        verifier = PolicyBuilder().store(Store([ca])).time(later).build_server_verifier(x509.DNSName("localhost"))
        assert verifier.verify(load(paths.server_cert), [])


def test_a_lost_server_key_and_a_crash_between_the_two_files_heal(certs: Path, tmp_path: Path) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    other = ensure_ca_and_server(tmp_path / "other", [], NOW)
    paths.server_key.unlink()
    server_context(ensure_ca_and_server(certs, [], NOW))
    paths.server_key.write_bytes(other.server_key.read_bytes())
    server_context(ensure_ca_and_server(certs, [], NOW))


def test_certificates_of_another_authority_are_replaced(certs: Path, tmp_path: Path) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    other = ensure_ca_and_server(tmp_path / "other", [], NOW)
    paths.server_key.write_bytes(other.server_key.read_bytes())
    paths.server_cert.write_bytes(other.server_cert.read_bytes())
    ensure_ca_and_server(certs, [], NOW)
    assert load(paths.server_cert).issuer == load(paths.ca_cert).subject
    paths.ca_cert.write_bytes(other.ca_cert.read_bytes())
    with pytest.raises(ConfigError, match="does not fit"):
        ensure_ca_and_server(certs, [], NOW)


def test_the_operators_own_certificates_are_used_and_never_renewed(certs: Path) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    paths.ca_key.unlink()
    before = paths.server_cert.read_bytes()
    ensure_ca_and_server(certs, ["hub.example.org"], NOW + timedelta(days=80))
    assert paths.server_cert.read_bytes() == before
    with pytest.raises(ConfigError, match="not valid now"):
        ensure_ca_and_server(certs, [], NOW + timedelta(days=91))


@pytest.mark.parametrize("name", ["ca.key", "server.key"])
def test_t54_loose_keys_are_refused(certs: Path, name: str) -> None:
    ensure_ca_and_server(certs, [], NOW)
    (certs / name).chmod(0o640)
    with pytest.raises(ConfigError) as loose:
        ensure_ca_and_server(certs, [], NOW)
    assert loose.value.hint == f"chmod 600 {certs / name}"


@pytest.mark.parametrize("name", ["ca.key", "ca.crt", "server.key", "server.crt"])
def test_files_that_cannot_be_read_are_named(certs: Path, name: str) -> None:
    ensure_ca_and_server(certs, [], NOW)
    (certs / name).write_bytes(b"odd")
    with pytest.raises(ConfigError, match=name):
        ensure_ca_and_server(certs, [], NOW)


@pytest.mark.parametrize("host", ["", "a b", "-é-", "a..b", "x" * 64 + ".org", "a/b", "#"])
def test_odd_host_names_are_refused(certs: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="not a host name"):
        ensure_ca_and_server(certs, [host], NOW)


def test_the_machines_own_odd_name_is_left_out(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "my machine")
    paths = ensure_ca_and_server(certs, [], NOW)
    names = load(paths.server_cert).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_tls_1_3_is_spoken_and_the_name_is_checked(certs: Path, name: str) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    client = client_context(paths.ca_cert)
    assert handshake(server_context(paths), client, name).version() == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(paths), client, "elsewhere.example.org")


def test_only_our_authority_is_trusted(certs: Path, tmp_path: Path) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    other = ensure_ca_and_server(tmp_path / "other", [], NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(paths), client_context(other.ca_cert))


def test_tls_1_2_is_spoken_with_forward_secrecy_and_aead_only(certs: Path) -> None:
    paths = ensure_ca_and_server(certs, [], NOW)
    old = client_context(paths.ca_cert)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    cipher = handshake(server_context(paths), old).cipher()
    assert cipher is not None
    assert cipher[0].startswith("ECDHE-")
    old.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    with pytest.raises(ssl.SSLError):
        handshake(server_context(paths), old)
    with pytest.raises(ssl.SSLError):
        handshake(server_context(paths, minimum="1.3"), old)


def test_the_listeners_settings(certs: Path) -> None:
    context = server_context(ensure_ca_and_server(certs, [], NOW))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.keylog_filename is None
    assert all("GCM" in cipher["name"] or "CHACHA20" in cipher["name"] for cipher in context.get_ciphers())


def test_contexts_without_their_files_say_which(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"server\.key"):
        server_context(CertificatePaths.within(tmp_path))
    with pytest.raises(ConfigError, match=r"nowhere\.crt"):
        client_context(tmp_path / "nowhere.crt")


def test_the_subjects_name_no_person_or_machine(certs: Path) -> None:
    paths = ensure_ca_and_server(certs, ["hub.example.org"], NOW)
    for path in (paths.ca_cert, paths.server_cert):
        (name,) = load(path).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert str(name.value).startswith("HealthSync ")
