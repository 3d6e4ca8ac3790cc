"""Settings of the embedded broker at another value than their default, as a client sees them."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from tests.integration.test_enrolment import enrolled
from tests.support.inprocess import Bystander, House
from tests.support.peer import Peer


def certificate(house: House) -> x509.Certificate:
    return x509.load_pem_x509_certificate(house.settings.paths.certs.joinpath("server.crt").read_bytes())


@pytest.mark.parametrize("changes", [{"broker.certificate_hosts": "health.example,192.0.2.9"}])
async def test_the_server_certificate_carries_the_hosts(house: House) -> None:
    names = certificate(house).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "health.example" in names.get_values_for_type(x509.DNSName)
    assert "192.0.2.9" in {str(each) for each in names.get_values_for_type(x509.IPAddress)}


@pytest.mark.parametrize(("changes", "spoken"), [({}, True), ({"broker.tls_minimum": "1.3"}, False)])
async def test_the_oldest_tls_that_is_spoken(house: House, bob: Bystander, *, spoken: bool) -> None:
    house.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    if spoken:
        await house.connect(house.device("alice"), tls=True)
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await house.knock(tls=True)
    await bob.goes_on()


@pytest.mark.parametrize("changes", [{"broker.wss_clients": "required"}])
async def test_the_websocket_listener_asks_for_a_certificate_and_the_other_does_not(house: House) -> None:
    house.tls.maximum_version = ssl.TLSVersion.TLSv1_2  # which tells in the handshake
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await Peer.open(house.ready.wss, tls=house.tls)
    await house.connect(house.device("alice"), tls=True)


@pytest.mark.parametrize("changes", [{"limits.max_keep_alive_s": 1}])
async def test_who_asks_for_no_keep_alive_is_held_to_the_longest(house: House) -> None:
    silent = await house.connect(house.device("alice"), keep_alive=0)
    assert await silent.closed() == []


@pytest.mark.parametrize("changes", [{"token.access_s": 120}])
async def test_an_enrolled_devices_token_lives_as_long_as_set(house: House) -> None:
    answer = await enrolled(house)
    left = datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(seconds=120)
