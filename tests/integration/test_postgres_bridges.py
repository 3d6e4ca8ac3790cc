"""Several bridges on one log on a real PostgreSQL, which share all messages of a real Mosquitto (``$share``)."""

import asyncio
import os
import random
import secrets
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from healthsync_mqtt.control.channel import call
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.postgres.election import LEAD_LOCK
from tests.support.external_rig import Rig
from tests.support.patience import PATIENCE_S
from tests.support.postgres import NEEDED, Postgres
from tests.support.service import HEALTHSYNC

pytestmark = NEEDED

NAMES = ("main", "second", "third")
_STANDING = f"""SELECT split_part(application_name, ' ', 2), EXISTS (SELECT 1 FROM pg_locks AS l
WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.granted AND l.classid = {LEAD_LOCK}) FROM pg_stat_activity AS a
WHERE application_name LIKE 'healthsync-bridge %' AND datname = current_database()"""


async def test_every_event_is_stored_once_and_what_is_elected_moves(tmp_path: Path) -> None:
    """Each bridge is killed, the server too, and its connections are cut: three bridges, one log, one leader."""
    seed = secrets.randbelow(1 << 32)
    with Postgres() as server:
        rig = Rig(
            root=tmp_path, rng=random.Random(seed), bridges=[(name, "") for name in NAMES], ordered=False,
            postgres=server, by_command=True,
        )  # fmt: skip
        async with rig.running():
            first = await agreed(rig, server, lambda leader: leader != "")
            assert first in NAMES
            await told(rig, first)
            await rig.kill_bridge(first, away=True)
            second = await agreed(rig, server, lambda leader: leader not in {"", first}, among=others(first))
            await published(rig, second)
            await asyncio.to_thread(rig.processes[first].start)
            await asyncio.to_thread(server.cut)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            leader = await agreed(rig, server, lambda leader: leader != "")
            await rig.kill_bridge(next(iter(others(leader))))
            await published(rig, leader)
            await told(rig, leader)
            await shown(rig, leader)
        assert rig.check() > 0
        assert rig.violations == [], f"SEED={seed}"
        written = {row[0] for row in server.execute("SELECT username FROM healthsync.person", of=tmp_path / "data")}
        assert {"u0", "u1", "u2", "u3"} <= written


def others(name: str) -> tuple[str, ...]:
    return tuple(each for each in NAMES if each != name)


async def agreed(rig: Rig, server: Postgres, wanted: Callable[[str], bool], *, among: tuple[str, ...] = NAMES) -> str:
    """The leader, once it is the ``wanted`` one and these bridges are there: as the server and its own log say it."""

    def told() -> str:
        rows = server.execute(_STANDING, of=rig.root / "data")
        [leader] = [name for name, leads in rows if leads] or [""]
        ready = sorted(name for name, _ in rows) == sorted(among) and wanted(leader)
        return leader if ready and "bridge.leads" in rig.processes[leader].log_path.read_text() else ""

    async with asyncio.timeout(PATIENCE_S):
        while not (leader := await asyncio.to_thread(told)):  # noqa: ASYNC110  # other processes agree
            await asyncio.sleep(0.1)
    return leader


async def told(rig: Rig, leader: str) -> None:
    """The status of each bridge shows the installation: who is there, and who leads."""
    for name in NAMES:
        wanted = {"bridges": sorted(NAMES), "leader": leader, "leads": name == leader}
        status = partial(call, rig.processes[name].data, "status", within_s=PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            while not wanted.items() <= (await asyncio.to_thread(status)).get("installation", {}).items():  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def shown(rig: Rig, leader: str) -> None:
    """So it is to people."""
    for name in NAMES:
        said = await asyncio.to_thread(
            subprocess.check_output,
            [*HEALTHSYNC, "status"],
            env=os.environ | {"HEALTHSYNC_DATA": str(rig.processes[name].data)},
            text=True,
            timeout=PATIENCE_S,
        )
        found = {words[0]: " ".join(words[1:]) for words in map(str.split, said.splitlines()) if words}
        assert found["bridges"] == ", ".join(sorted(NAMES)), said
        assert found["leader"] == (f"{leader} (this one)" if name == leader else leader), said
        assert found["shared"].startswith("log epoch "), said
    listed = dict(line.split("\t")[1::8] for line in said.splitlines() if line.startswith("bridge\t"))
    assert {name for name, does in listed.items() if "feeds subscribers" in does} == {leader}, said
    assert set(listed) == set(NAMES), said


async def published(rig: Rig, name: str) -> None:
    """What is stored now has been published, whoever stored it."""
    with open_reader(rig.processes[name].data) as reader:
        head = reader.head()
        async with asyncio.timeout(PATIENCE_S):
            while (reader.cursor("publish") or 0) < head:  # noqa: ASYNC110  # another process moves it
                await asyncio.sleep(0.1)
