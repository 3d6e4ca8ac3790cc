"""Certificate and key are replaced one after the other: TLS goes on, with the old pair until the new one is whole."""

import errno
import ssl
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.certificates.files import client_context, ensure_ca_and_server, load_certificate
from healthsync_mqtt.identity.certificates.server_tls import ServerTls
from healthsync_mqtt.identity.registry import Registry

NOW = datetime.now(UTC).timestamp()


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[ServerTls]:
    with Registry.open(tmp_path / "registry.db") as registry:
        yield ServerTls(tmp_path / "certs", (), registry.certificates, "1.2", NOW)


def other_pair(tmp_path: Path) -> tuple[bytes, bytes]:
    """Another certificate of the same CA, and its key."""
    made = tmp_path / "made"
    made.mkdir(mode=0o700)
    for name in ("ca.crt", "ca.key"):
        (made / name).write_bytes((tmp_path / "certs" / name).read_bytes())
        (made / name).chmod(0o600)
    ensure_ca_and_server(made, (), datetime.fromtimestamp(NOW, UTC))
    return (made / "server.crt").read_bytes(), (made / "server.key").read_bytes()


def served(context: ssl.SSLContext, ca: Path) -> int:
    """The serial number that a client meets in a handshake; ssl.SSLError when there is none."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context(ca).wrap_bio(to_client, to_server, server_hostname="localhost")
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


@pytest.mark.parametrize("first", ["server.crt", "server.key"])
def test_a_pair_that_comes_in_two_steps_is_taken_up_when_it_is_whole(
    tls: ServerTls, tmp_path: Path, first: str
) -> None:
    context, ca = tls.context(Demand.off), tls.paths.ca_cert
    certificate, key = other_pair(tmp_path)
    before = load_certificate(tls.paths.server_cert).serial_number
    files = {"server.crt": (tls.paths.server_cert, certificate), "server.key": (tls.paths.server_key, key)}
    path, content = files.pop(first)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="the older ones stay in use"):
        tls.upkeep(NOW + 1)
    assert tls.problem
    tls.reload()
    assert served(context, ca) == before
    assert not tls.upkeep(NOW + 3), "said once a minute, not at every look"
    ((path, content),) = files.values()
    path.write_bytes(content)
    assert tls.upkeep(NOW + 5)
    tls.reload()
    assert served(context, ca) == x509.load_pem_x509_certificate(certificate).serial_number != before
    assert not tls.problem
    assert not tls.upkeep(NOW + 7)


def test_what_is_replaced_between_the_trial_and_the_swap_does_no_harm(tls: ServerTls, tmp_path: Path) -> None:
    context, ca = tls.context(Demand.off), tls.paths.ca_cert
    certificate, key = other_pair(tmp_path)
    tls.paths.server_cert.write_bytes(certificate)
    tls.paths.server_key.write_bytes(key)
    assert tls.upkeep(NOW + 1)
    tls.paths.server_key.write_bytes(b"half a key")
    tls.reload()
    assert served(context, ca) == x509.load_pem_x509_certificate(certificate).serial_number
    with pytest.raises(ConfigError, match="the older ones stay in use"):
        tls.upkeep(NOW + 3)


def test_a_pair_that_was_not_taken_up_is_offered_again(tls: ServerTls, tmp_path: Path) -> None:
    tls.context(Demand.off)
    certificate, key = other_pair(tmp_path)
    tls.paths.server_cert.write_bytes(certificate)
    tls.paths.server_key.write_bytes(key)
    assert tls.upkeep(NOW + 1)
    assert tls.upkeep(NOW + 3), "reload did not run: the files are still to be taken up"
    tls.reload()
    assert not tls.upkeep(NOW + 5)


def test_a_disk_that_is_full_between_the_trial_and_the_swap_leaves_the_old_pair_in_use(
    tls: ServerTls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca = tls.context(Demand.off), tls.paths.ca_cert
    before = load_certificate(tls.paths.server_cert).serial_number
    certificate, key = other_pair(tmp_path)
    tls.paths.server_cert.write_bytes(certificate)
    tls.paths.server_key.write_bytes(key)
    assert tls.upkeep(NOW + 1)
    with monkeypatch.context() as full:
        full.setattr(tempfile, "TemporaryDirectory", _no_room)
        with pytest.raises(ConfigError, match="No space left"):
            tls.reload()
    assert served(context, ca) == before
    assert tls.upkeep(NOW + 3)
    tls.reload()
    assert served(context, ca) == x509.load_pem_x509_certificate(certificate).serial_number


def _no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_no_copy_of_a_key_stays_behind(tls: ServerTls, tmp_path: Path) -> None:
    certificate, key = other_pair(tmp_path)
    tls.paths.server_cert.write_bytes(certificate)
    tls.paths.server_key.write_bytes(key)
    tls.upkeep(NOW + 1)
    tls.reload()
    assert [path.name for path in (tmp_path / "certs").iterdir() if path.name.startswith(".swap")] == []
    assert key.decode() not in repr(vars(tls))


def test_a_clock_that_is_set_back_a_year_does_not_stop_renewal(tmp_path: Path) -> None:
    year = 365 * 86_400.0
    with Registry.open(tmp_path / "registry.db") as registry:
        tls = ServerTls(tmp_path / "certs", (), registry.certificates, "1.2", NOW + year)
        tls.context(Demand.off)
        ahead = load_certificate(tls.paths.server_cert).serial_number
        assert tls.upkeep(NOW), "a certificate of next year is no good now"
        assert load_certificate(tls.paths.server_cert).serial_number != ahead
