"""Sentinels of bridges that start at the same moment beside one broker, on virtual time."""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from bridge.edges.sentinel import Sentinel
from healthsync_mqtt.broker.external.canary import CrossingError
from healthsync_mqtt.broker.external.identities import principals
from healthsync_mqtt.client.backoff import Backoff
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.registry import Registry
from tests.support.small_broker import TOPICS, SmallBroker, TownLoop

DELAY_S = 0.001
BRIDGES = tuple(f"bridge-{number}" for number in range(1, 9))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one bridge found: after so many flights, so long after all have started."""

    flights: int
    at: float
    crossed: bool = False


class Town:
    """One broker, the credentials of several bridges, and their settings."""

    def __init__(self, root: Path, bridges: Sequence[str] = BRIDGES) -> None:
        self.store = CredentialStore(root / "credentials")
        with Registry.open(root / "registry.db") as registry:
            people = principals(registry.roster(), bridges)
        for name in people:
            self.store.ensure(name)
        self.broker = SmallBroker(people, self.store.find)
        self._root = root

    def settings(self, bridge: str, more: str = "") -> Settings:
        data = self._root / f"data-{bridge}"
        data.mkdir(exist_ok=True)
        (data / "healthsync.toml").write_text(
            f'[bridge]\nid = "{bridge}"\n[external]\nhost = "127.0.0.1"\ntls = false\n{more}'
        )
        return load_settings(data)

    def start(self, *bridges: str) -> list[Verdict]:
        """Start these at once, each as the bridge does it: fly, and after a flight that could not be told again."""

        async def all_of_them() -> list[Verdict]:
            return await asyncio.gather(*(self._verdict(name) for name in bridges))

        with asyncio.Runner(loop_factory=lambda: TownLoop(self.broker, DELAY_S)) as runner:
            return runner.run(all_of_them())

    async def _verdict(self, bridge: str) -> Verdict:
        sentinel = Sentinel(self.settings(bridge), self.store, TOPICS)
        rng, backoff, flights = Random(bridge), Backoff(first=0.5, longest=30.0), 0
        while True:
            flights += 1
            crossed = False
            try:
                await sentinel.before_work()
            except UnavailableError:
                await asyncio.sleep(backoff.delay(flights, rng))
                continue
            except CrossingError:
                crossed = True
            return Verdict(flights, asyncio.get_running_loop().time(), crossed)


def said(caplog: pytest.LogCaptureFixture, event: str) -> int:
    return sum(each.message == event for each in caplog.records)


def test_bridges_that_start_together_have_a_verdict_each_after_one_flight(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They threw each other's canaries out, flew again, and were thrown out again."""
    caplog.set_level(logging.INFO)
    town = Town(tmp_path)
    [alone] = town.start(BRIDGES[0])
    assert alone.flights == 1
    caplog.clear()
    together = town.start(*BRIDGES)
    assert [each.flights for each in together] == [1] * len(BRIDGES)
    assert max(each.at for each in together) < 1.5 * alone.at
    assert town.broker.thrown_out == []
    assert said(caplog, "bridge.broker_not_examined") == 0, "and what the broker promises was found out by each"
    assert said(caplog, "bridge.canary_shared") == 0


def test_a_crossing_is_seen_by_all(tmp_path: Path) -> None:
    town = Town(tmp_path)
    town.broker.careless = True
    assert {(each.flights, each.crossed) for each in town.start(*BRIDGES)} == {(1, True)}


def test_a_bridge_whose_flight_hangs_is_waited_for_by_nobody(tmp_path: Path) -> None:
    town = Town(tmp_path)
    hanging, *others = BRIDGES
    [alone] = town.start(others[0])
    answers = itertools.count()
    town.broker.deaf = lambda client, _packet: f"-{hanging}-" in client.name and 10 < next(answers) < 20
    late, *in_time = town.start(hanging, *others)
    assert late.flights > 1
    assert {each.flights for each in in_time} == {1}
    assert max(each.at for each in in_time) < 1.5 * alone.at < late.at


def test_a_bridge_without_credentials_of_its_own_flies_in_the_common_world_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So was the broker provisioned by an earlier release: it still starts."""
    town = Town(tmp_path, bridges=())
    town.store.ensure("healthsync-bridge-old")
    [one] = town.start("old")
    assert one == Verdict(flights=1, at=one.at)
    assert said(caplog, "bridge.canary_shared") == 1
