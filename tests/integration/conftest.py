"""Fixtures of the tests with real sockets."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.support.influx_double import InfluxDouble
from tests.support.inprocess import Bystander, House, opened
from tests.support.pages import FOLLOWED, finished
from tests.support.sink import Rig

Factory = Callable[[], asyncio.AbstractEventLoop]

BOTH_LOOPS = {"test_door_publish.py", "test_door_delivery.py", "test_door_listeners.py", "test_metrics_endpoint.py"}
"""Tests of the wire run on both loops, whose transports differ in what they forgive; all others on asyncio's."""

LONGEST = (
    "test_simulated_faults.py",
    "test_external_crossings.py",
    "test_howtos.py",
    "test_package.py",
    "test_first_day.py",
    "test_flood_suite.py",
    "test_imports.py",
    "test_storage_power_cut.py",
    "test_sink_kafka.py",
    "test_soak.py",
    "test_external_faults.py",
    "test_deploy_image.py",
    "test_walk.py",
    "test_systemd.py",
    "test_sink_soak.py",
)
"""Files that take minutes, the longest first: begun last, they would run alone while other processes are idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Counter(item.path.name for item in items)
    last = len(LONGEST)
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (place.get(item.path.name, last), -tests[item.path.name], item.path.name))


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Factory]:
    loops: dict[str, Factory] = {"asyncio": asyncio.new_event_loop}
    if item.path.name in BOTH_LOOPS:
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test that follows a page has typed all of it when it passes."""
    called = yield
    unfinished = [page for page, test in FOLLOWED.items() if test == pyfuncitem.nodeid and page not in finished]
    assert unfinished == [], "typed in part only"
    return called


@pytest.fixture
def changes() -> dict[str, Any]:
    """Settings that differ from the defaults; a module or a mark may say others: ``parametrize("changes", [...])``."""
    return {}


@pytest.fixture
async def house(tmp_path: Path, changes: dict[str, Any]) -> AsyncIterator[House]:
    """A service in this process and loop."""
    async with opened(tmp_path / "data", changes) as running:
        yield running


@pytest.fixture
async def bob(house: House) -> Bystander:
    """A user who has nothing to do with the test, and must not notice it."""
    return await Bystander.arrive(house)


@pytest.fixture
def server() -> Iterator[InfluxDouble]:
    """A double of InfluxDB on a port of its own."""
    with InfluxDouble() as double:
        yield double


@pytest.fixture
def rigs(server: InfluxDouble, tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Makes sinks that ship to ``server``, with the settings that a test names; closed when it ends."""
    made: list[Rig] = []

    def rig(**values) -> Rig:
        made.append(Rig(tmp_path, server.url, **values))
        return made[-1]

    yield rig
    for one in made:
        one.close()


@pytest.fixture
def rig(rigs) -> Rig:
    """A sink that ships to ``server``, with the settings of a test."""
    return rigs()
