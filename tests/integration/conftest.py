"""Fixtures of the tests with real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.support.inprocess import Bystander, House, opened

Factory = Callable[[], asyncio.AbstractEventLoop]

BOTH_LOOPS = {"test_door_publish.py", "test_door_delivery.py", "test_door_listeners.py", "test_metrics_endpoint.py"}
"""Tests of the wire run on both loops, whose transports differ in what they forgive; all others on asyncio's."""


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Factory]:
    loops: dict[str, Factory] = {"asyncio": asyncio.new_event_loop}
    if item.path.name in BOTH_LOOPS:
        loops["uvloop"] = uvloop.new_event_loop
    return loops


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
