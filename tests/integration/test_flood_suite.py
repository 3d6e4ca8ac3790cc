"""The flood suite, short: the kinds that once stopped the service for everybody. All of them: ``scripts/floods``.

How long a bystander waits is asserted there, and in counted work by ``tests/unit/broker/embedded/test_turns.py``; here,
that it is served at all, that memory is bounded, and that who is revoked is gone.
"""

from collections.abc import Iterator

import pytest

from tests.support.floods.bounds import harmed
from tests.support.floods.kinds import KINDS
from tests.support.floods.profile import as_environment, strict
from tests.support.floods.run import flood
from tests.support.identities import logins
from tests.support.service import Service
from tests.support.wire import Login


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, list[Login]]]:
    data = tmp_path_factory.mktemp("floods") / "data"
    made = logins(data, users=4, devices=len(KINDS))
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
    made = logins(data, users=4, devices=10)
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
    found = flood(service, ("events", "bad-events"), made[0], attackers, quiet=made[-1], seconds=0.5)
    assert (found.connections, found.users) == (10, 10)
    assert found.revoked_s is not None, "none of them was logged in"
    assert list(harmed(found)) == [], found


def test_every_kind_at_once(flooded: tuple[Service, list[Login]]) -> None:
    goes_on(flooded, tuple(kind.name for kind in KINDS), len(KINDS))


def goes_on(
    flooded: tuple[Service, list[Login]], kinds: tuple[str, ...], connections: int, *, pause_s: float = 0.01
) -> None:
    """A bystander is served, nothing grows without bounds, and who is revoked is gone."""
    service, made = flooded
    # Those who come and go are soon taken for clones of their tokens, and would be let in to no other flood.
    comes_and_goes = len(kinds) == 1 and any(kind.churn for kind in KINDS if kind.name in kinds)
    attackers = tuple(each for each in made if each.user == ("u2" if comes_and_goes else "u1"))[:connections]
    found = flood(service, kinds, made[0], attackers, quiet=made[-1], seconds=0.5, pause_s=pause_s)
    assert found.waits >= 20
    assert list(harmed(found)) == [], found
