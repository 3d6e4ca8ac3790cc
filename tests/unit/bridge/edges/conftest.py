"""Fixtures of what works at the edges of the bridge."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.bridge.edges.test_external_source import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A pipeline and a log, for connections to an external broker."""
    made = Bench()
    yield made
    made.pipeline.stop()
    made.journal.close()
