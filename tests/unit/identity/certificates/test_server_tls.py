"""The certificates of a running service: renewed in time, taken up, and no surprise when they cannot be."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.certificates.files import CertificatePaths, load_certificate, open_authority, renew_server
from healthsync_mqtt.identity.certificates.issuing import serial_text
from healthsync_mqtt.identity.certificates.server_tls import ServerTls
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Role

NOW = datetime.now(UTC).timestamp()
DAY = 86_400.0


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "registry.db") as registry:
        yield registry


@pytest.fixture
def tls(tmp_path: Path, registry: Registry) -> ServerTls:
    return ServerTls(tmp_path / "certs", (), registry.certificates, "1.2", NOW)


def serial(tls: ServerTls) -> str:
    return serial_text(load_certificate(tls.paths.server_cert))


def test_the_first_certificate_is_recorded_and_nothing_is_left_to_do(tls: ServerTls, registry: Registry) -> None:
    assert [each.serial for each in registry.certificates.issued()] == [serial(tls)]
    assert tls.expiry.server == load_certificate(tls.paths.server_cert).not_valid_after_utc.timestamp()
    assert not tls.upkeep(NOW + 1)
    assert x509.load_pem_x509_crl(tls.paths.ca_crl.read_bytes()).next_update_utc is not None


def test_it_is_renewed_when_a_third_of_its_life_is_left(tls: ServerTls, registry: Registry) -> None:
    first = serial(tls)
    tls.context(Demand.off)
    assert not tls.upkeep(NOW + 59 * DAY)
    assert tls.upkeep(NOW + 61 * DAY)
    assert serial(tls) != first
    tls.reload()
    assert not tls.upkeep(NOW + 61 * DAY + 1)
    assert {each.serial for each in registry.certificates.issued()} == {first, serial(tls)}


def test_the_revocation_list_is_written_before_it_runs_out(tls: ServerTls) -> None:
    first = tls.paths.ca_crl.read_bytes()
    tls.upkeep(NOW + 19 * DAY)
    assert tls.paths.ca_crl.read_bytes() == first
    tls.upkeep(NOW + 21 * DAY)
    assert tls.paths.ca_crl.read_bytes() != first


def test_clients_that_end_soon_are_counted(tls: ServerTls, registry: Registry) -> None:
    registry.add_user("alice", "all", 0)
    registry.add_device("alice", "watch", 0)
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    when = datetime.fromtimestamp(NOW, UTC)
    authority = open_authority(tls.paths.ca_cert.parent, when)
    for days in (10, 30):
        made = authority.client(key, Role.device, "alice-watch", when, timedelta(days=days))
        registry.certificates.add(made, Role.device, "alice-watch", int(NOW * 1e6))
    tls.upkeep(NOW + 3700)
    assert (tls.expiry.clients, tls.expiry.clients_ending) == (2, 1)
    tls.upkeep(NOW + 11 * DAY)
    assert (tls.expiry.clients, tls.expiry.clients_ending) == (1, 0)


def test_files_that_vanish_are_a_named_error_and_not_the_end(tls: ServerTls) -> None:
    kept = tls.paths.server_cert.read_bytes()
    tls.paths.server_cert.unlink()
    with pytest.raises(ConfigError, match="cannot be kept up"):
        tls.upkeep(NOW + 1)
    tls.paths.server_cert.write_bytes(kept)
    tls.upkeep(NOW + 2)


def test_what_cannot_be_renewed_is_tried_again_after_a_minute(tls: ServerTls) -> None:
    tls.paths.ca_key.chmod(0o644)
    with pytest.raises(ConfigError, match="other accounts"):
        tls.upkeep(NOW + 3700)
    tls.upkeep(NOW + 3701)
    with pytest.raises(ConfigError, match="other accounts"):
        tls.upkeep(NOW + 3760)
    tls.paths.ca_key.chmod(0o600)
    tls.upkeep(NOW + 3820)
    tls.upkeep(NOW + 3821)


def test_a_pair_that_comes_one_file_after_the_other_is_not_written_over_by_the_upkeep_between_them(
    tls: ServerTls, tmp_path: Path
) -> None:
    """The hour for upkeep may come between the two, all the more where the clock has leapt."""
    tls.context(Demand.off)
    other = CertificatePaths.within(tmp_path / "other")
    copytree(tls.paths.server_cert.parent, other.server_cert.parent)
    renew_server(other.server_cert.parent, (), datetime.now(UTC))
    other.server_cert.replace(tls.paths.server_cert)
    put = serial(tls)
    with pytest.raises(ConfigError, match="do not belong together"):
        tls.upkeep(NOW + 3_700)
    assert serial(tls) == put
    other.server_key.replace(tls.paths.server_key)
    assert tls.upkeep(NOW + 3_701)
    tls.reload()
    assert serial(tls) == put
    assert tls.problem == ""


def test_a_pair_that_stays_unfit_is_replaced_by_our_own_a_minute_later(tls: ServerTls, tmp_path: Path) -> None:
    tls.context(Demand.off)
    other = CertificatePaths.within(tmp_path / "other")
    copytree(tls.paths.server_cert.parent, other.server_cert.parent)
    renew_server(other.server_cert.parent, (), datetime.now(UTC))
    other.server_cert.replace(tls.paths.server_cert)
    put = serial(tls)
    with pytest.raises(ConfigError):
        tls.upkeep(NOW + 3_700)
    assert tls.upkeep(NOW + 3_761)
    assert serial(tls) != put
