"""Bridges that are started at the same moment beside one real broker, each with its canary, on one real PostgreSQL."""

import random
from pathlib import Path

import pytest

from tests.support import rabbitmq
from tests.support.external_rig import Rig
from tests.support.postgres import NEEDED, Postgres

pytestmark = NEEDED

NAMES = ("main", "second", "third")
_SLOW = "does not answer"
"""A loaded machine may need another flight; that is none that somebody else has ended."""


@pytest.mark.parametrize(
    "on_rabbitmq",
    [False, pytest.param(True, marks=pytest.mark.skipif(not rabbitmq.installed(), reason="needs rabbitmq-server"))],
    ids=["mosquitto", "rabbitmq"],
)
async def test_no_bridge_ends_the_flight_of_another(tmp_path: Path, on_rabbitmq: bool) -> None:
    parts = [f"{number}/{len(NAMES)}" if on_rabbitmq else "" for number in range(1, len(NAMES) + 1)]
    with Postgres() as server:
        rig = Rig(
            root=tmp_path, rng=random.Random(1), bridges=list(zip(NAMES, parts, strict=True)), ordered=False,
            postgres=server, rabbitmq=on_rabbitmq, canary=True,
        )  # fmt: skip
        async with rig.running():
            logs = {name: rig.processes[name].log_path.read_text() for name in NAMES}
        assert rig.check() > 0
    assert rig.violations == []
    for name, text in logs.items():
        assert text.count("bridge.canary_passed") == 1, name
        assert "bridge.canary_shared" not in text, name
        for event in ("bridge.broker_lost", "bridge.broker_not_examined"):
            assert [line for line in text.splitlines() if event in line and _SLOW not in line] == [], name
