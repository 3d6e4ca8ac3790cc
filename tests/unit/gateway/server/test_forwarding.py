"""Whose a request is behind an HTTP proxy: T29 over HTTP."""

from pathlib import Path

import pytest

from healthsync_mqtt.config.sections import GatewaySettings
from healthsync_mqtt.gateway.login import beginnings
from healthsync_mqtt.gateway.server.entrance import Crowd
from healthsync_mqtt.gateway.server.forwarding import Forwarding
from tests.support.gateway import filled, gateway_here

PROXIES = GatewaySettings(proxies=("10.0.0.0/28", "fd00::1"))


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["192.0.2.9, 192.0.2.1"], "192.0.2.1"),  # the first is the client's own word
        ("10.0.0.1", ["192.0.2.9", "192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["192.0.2.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),  # by two proxies
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("fd00::1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["192.0.2.1:5000"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.9,"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.9, \xe9, 10.0.0.2"], "10.0.0.2"),
        ("192.0.2.7", ["10.0.0.1"], "192.0.2.7"),
        ("::ffff:10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
    ],
)
def test_the_last_that_is_no_proxys(peer: str, said: list[str], client: str) -> None:
    headers = [(b"host", b"192.0.2.5"), *((b"x-forwarded-for", each.encode("latin-1")) for each in said)]
    headers.append((b"forwarded", b"for=192.0.2.77"))
    assert Forwarding(PROXIES).client_of(peer, headers) == client


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("10.0.0.1", ["for=192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["For=192.0.2.1;proto=https;by=10.0.0.1"], "192.0.2.1"),
        ("10.0.0.1", ['proto=https; for="192.0.2.1:5000"'], "192.0.2.1"),
        ("10.0.0.1", ['for="[2001:db8::1]:443";by="_a"'], "2001:db8::1"),
        ("10.0.0.1", ["for=192.0.2.9, for=192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ['for="192.0.2.9', "for=192.0.2.1"], "192.0.2.1"),  # a client's open quote hides nothing
        ("10.0.0.1", ['for="[::1]";x="', 'for="192.0.2.1", for=10.0.0.2'], "192.0.2.1"),
        ("10.0.0.1", ["for=192.0.2.9", "for=unknown"], "10.0.0.1"),
        ("10.0.0.1", ["for=192.0.2.9", "for=_hidden, for=10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["for=192.0.2.1;for=192.0.2.9"], "10.0.0.1"),
        ("10.0.0.1", ["proto=https"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("192.0.2.7", ["for=10.0.0.1"], "192.0.2.7"),
    ],
)
def test_forwarded_is_read_where_the_proxies_say_that(peer: str, said: list[str], client: str) -> None:
    forwarding = Forwarding(PROXIES.model_copy(update={"proxies_say": "Forwarded"}))
    headers = [(b"x-forwarded-for", b"192.0.2.77"), *((b"forwarded", each.encode("latin-1")) for each in said)]
    assert forwarding.client_of(peer, headers) == client


def test_a_proxy_is_not_one_address_of_the_crowd_and_others_are() -> None:
    crowd = Crowd(GatewaySettings(proxies=("10.0.0.0/28",), connections=5, connections_per_address=2))
    assert [crowd.enters("192.0.2.1") is not None for _ in range(3)] == [True, True, False]
    assert [crowd.enters("10.0.0.1") is not None for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("believed", [True, False])
def test_limits_go_by_the_client_where_the_proxy_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, believed: bool
) -> None:
    monkeypatch.setattr(beginnings, "BURST", 1)
    monkeypatch.setattr(beginnings, "PER_S", 1e-6)
    data = tmp_path / "data"
    filled(data, ["alice"], [])
    proxies = {"gateway.proxies": "127.0.0.1"} if believed else {}
    with gateway_here(data, **{"gateway.public_url": "https://health.example.org"}, **proxies) as here:
        answers = [
            here.web.call("POST", "/v1/session/challenge", x_forwarded_for=said).status
            for said in ("192.0.2.1", "192.0.2.1", "192.0.2.2, 192.0.2.1", "192.0.2.2")
        ]
        assert answers == ([200, 429, 429, 200] if believed else [200, 429, 429, 429])


def test_limits_go_by_the_client_that_forwarded_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginnings, "BURST", 1)
    monkeypatch.setattr(beginnings, "PER_S", 1e-6)
    data = tmp_path / "data"
    filled(data, ["alice"], [])
    settings = {"gateway.public_url": "https://health.example.org", "gateway.proxies": "127.0.0.1"}
    with gateway_here(data, **settings, **{"gateway.proxies_say": "Forwarded"}) as here:
        answers = [
            here.web.call("POST", "/v1/session/challenge", forwarded=said, x_forwarded_for="192.0.2.8").status
            for said in ("for=192.0.2.1", "for=192.0.2.1", "for=192.0.2.2")
        ]
    assert answers == [200, 429, 200]
