"""The flood suite, short: the kinds that once stopped the service for everybody. All of them: ``scripts/floods``.

How long a bystander waits is asserted there, and in counted work by ``tests/unit/broker/embedded/test_turns.py``; here,
that it is served at all, that memory is bounded, and that who is revoked is gone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import PacketType
from tests.support.floods.bounds import harmed
from tests.support.floods.kinds import KINDS, Kind
from tests.support.floods.profile import as_environment, strict
from tests.support.floods.run import flood
from tests.support.identities import logins
from tests.support.service import Service
from tests.support.wire import Login


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, list[Login]]]:
    data = tmp_path_factory.mktemp("floods") / "data"
    made = logins(data, users=3, devices=len(KINDS))
    with Service(data) as service:
        yield service, made


@pytest.mark.parametrize("kind", ["pingreq", "puback", "pubrec", "subscribe", "stranger-web-empty-frames", "web-pings",
                                  "v5-subscribe-long", "v5-properties", "v5-auth", "v5-aliases"])  # fmt: skip
@pytest.mark.parametrize("connections", [1, 10])
def test_a_bystander_goes_on_and_who_is_revoked_is_gone(
    flooded: tuple[Service, list[Login]], kind: str, connections: int
) -> None:
    goes_on(flooded, (kind,), connections)


@pytest.mark.parametrize(
    "kind", ["bad-events", "bad-events-gzip", "bad-events-new", "deep-events", "oversized-events", "not-allowed",
             "reconnects", "status-large", "status-replays", "unreleased", "wills", "second-connect", "web-fragments",
             "stranger-bad-tokens", "stranger-oversized-connect", "stranger-half-handshakes", "stranger-upgrades"]
)  # fmt: skip
def test_refused_and_broken_things_of_ten(flooded: tuple[Service, list[Login]], kind: str) -> None:
    goes_on(flooded, (kind,), 10)


@pytest.fixture(scope="module")
def strictly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, list[Login]]]:
    data = tmp_path_factory.mktemp("strict") / "data"
    made = logins(data, users=3, devices=10)
    with Service(data, env=as_environment(strict())) as service:
        yield service, made


@pytest.mark.parametrize(
    "kind", ["puback", "subscribe", "events", "bad-events-gzip", "unreleased", "web-fragments", "stranger-bad-tokens"]
)
def test_the_strict_profile_holds_too(strictly: tuple[Service, list[Login]], kind: str) -> None:
    goes_on(strictly, (kind,), 10, pause_s=0.1)


def test_a_bystander_goes_on_beside_ten_users(flooded: tuple[Service, list[Login]]) -> None:
    """Rates and turns count per user: who has many users has as many shares."""
    service, made = flooded
    attackers = tuple(logins(service.data, users=10, devices=1, named="many"))
    found = flood(service, ("events", "bad-events"), made[0], attackers, seconds=0.5)
    assert (found.connections, found.users) == (10, 10)
    assert found.revoked_s is not None, "none of them was logged in"
    assert list(harmed(found)) == [], found


def test_every_kind_at_once(flooded: tuple[Service, list[Login]]) -> None:
    goes_on(flooded, tuple(kind.name for kind in KINDS), len(KINDS))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_what_it_says(kind: Kind) -> None:
    """The blocks of a login are whole packets that the decoder knows; else the suite would flood with faults."""
    block = kind.block(Login(client_id="u1-d0", token="t", topic="users/u1/devices/d0/events", user="u1", device="d0"))
    assert kind.churn or len(block) > 10_000 or not kind.login
    if kind.login and not kind.web and not kind.churn:
        versions = frozenset({kind.version})
        assert len(Decoder(2 << 20, 2 << 20, server=False, versions=versions).feed(block)) > 0


def packet_types(block: bytes) -> set[int]:
    found, at = set(), 0
    while at < len(block):
        found.add(block[at] >> 4)
        size, shift, at = 0, 0, at + 1
        while True:
            byte, at = block[at], at + 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += size
    return found


def test_every_type_of_packet_is_among_them_and_the_page_counts_them() -> None:
    logins_ = [
        Login(client_id=f"u1-d{n}", token="t", topic=f"users/u1/devices/d{n}/events", user="u1", device=f"d{n}")
        for n in range(4)
    ]
    blocks = [kind.block(login) for kind in KINDS if kind.login and not kind.web for login in logins_]
    assert set.union(*map(packet_types, blocks)) == set(PacketType)
    page = (Path(__file__).parents[2] / "docs/howto/limits.md").read_text(encoding="utf-8")
    assert f"floods a service in {len(KINDS)} ways" in page


def goes_on(
    flooded: tuple[Service, list[Login]], kinds: tuple[str, ...], connections: int, *, pause_s: float = 0.01
) -> None:
    """A bystander is served, nothing grows without bounds, and who is revoked is gone."""
    service, made = flooded
    # Those who come and go are soon taken for clones of their tokens, and would be let in to no other flood.
    comes_and_goes = len(kinds) == 1 and any(kind.churn for kind in KINDS if kind.name in kinds)
    attackers = tuple(each for each in made if each.user == ("u2" if comes_and_goes else "u1"))[:connections]
    found = flood(service, kinds, made[0], attackers, seconds=0.5, pause_s=pause_s)
    assert found.waits >= 20
    assert list(harmed(found)) == [], found
