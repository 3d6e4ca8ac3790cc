"""Kills under a cloud: the adapters' worker is killed at random places while it imports, polls, renews tokens and works
webhooks off; then everything has to be in the log once, and no user has to agree again.

The provider and the log stand in this process and survive; a worker is a child process with the real files.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from healthsync_mqtt.adapters.authorization import finish, invite
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from tests.support import child
from tests.support.adapter_child import ready_at, run
from tests.support.cloud_scenes import SCENES, CloudScene, delivery
from tests.support.clouds import ScriptedCloud, serving
from tests.support.loopback import served
from tests.support.patience import wait_until

USER = "ann"
_BEGIN_S = 10.0


@dataclass
class LenientCloud(ScriptedCloud):
    """Rotates as providers do that can be killed at: the pair before is good until the new one is used."""

    before: set[str] = field(default_factory=set)

    def pair(self) -> dict[str, Any]:
        """New tokens beside the last ones."""
        if not self.manners.rotates:
            return super().pair()
        kept, access = set(self._refresh), set(self._access)
        made = super().pair()
        self.before = kept
        self._refresh |= kept
        self._access |= access
        return made

    def _answered(self, request: CloudRequest) -> CloudAnswer:
        used = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if used and used in self._access and self.before:
            newest = max(self._access, key=lambda each: int(each.rpartition("-")[2]))
            if used == newest:
                self._refresh -= self.before
                self._access = {newest}
                self.before = set()
        return super()._answered(request)


class EventShelf:
    """The log of this soak: an id once, the newest version of it, and how often anything was said."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.taken = 0
        self._turn = threading.Lock()

    def take(self, batch: list[dict[str, Any]]) -> dict[str, int]:
        """What became of a message."""
        stored = 0
        with self._turn:
            self.taken += 1
            for event in batch:
                old = self.events.get(event["id"])
                if old is not None and isinstance(event["version"], int) and event["version"] < old["version"]:
                    continue
                if old != event:
                    self.events[event["id"]] = event
                    stored += 1
        return {"stored": stored, "duplicate": len(batch) - stored, "rejected": 0}

    def values(self, scene: CloudScene) -> list[tuple[str, float]]:
        """What is there of a type: when, and how much."""
        with self._turn:
            found = [each for each in self.events.values() if each["type"] == scene.type and each.get("op") != "delete"]
        return sorted((each["start_time"], float(each["value"][scene.reads])) for each in found)


@contextmanager
def shelf_served(shelf: EventShelf) -> Iterator[str]:
    """The log on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = json.dumps(shelf.take(json.loads(body))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  # the library's name

    with served(Handler) as url:
        yield url


class Kept:
    """What the provider has: each record with its number, its value and how often it was revised."""

    def __init__(self, scene: CloudScene, cloud: ScriptedCloud) -> None:
        self.scene = scene
        self.there: dict[int, tuple[int, int]] = {}
        self._cloud = cloud
        self._made = 0

    def record(self, number: int) -> dict[str, Any]:
        """One as it is now."""
        return self.scene.make(number, *self.there[number])

    def put(self, number: int | None, value: int) -> tuple[str, dict[str, Any]]:
        """A new one, or another value of one that is there; what happened, and the record."""
        happened = "update"
        if number is None:
            number, happened, self._made = self._made, "create", self._made + 1
        _, revision = self.there.get(number, (0, -1))
        self.there[number] = (value, revision + 1)
        self._tell()
        return happened, self.record(number)

    def drop(self, number: int) -> tuple[str, dict[str, Any]]:
        """It is deleted."""
        gone = self.record(number)
        del self.there[number]
        self._tell()
        return "delete", gone

    def _tell(self) -> None:
        if self.scene.pushes:
            return
        self._cloud.records = self.scene.lists(map(self.record, self.there))

    @property
    def values(self) -> list[float]:
        """As events have them."""
        return sorted(self.scene.of(value) for value, _ in self.there.values())


Kill = Callable[[], None]
Start = Callable[[Path, str, str, str], Kill]


def soak(data: Path, kills: int, seed: int, provider: str = "oura", start: "Start | None" = None) -> dict[str, int]:
    """Kill a worker so often; what was done. AssertionError where anything is lost, double, or stands still."""
    start = start or _own_process
    rng = random.Random(seed)  # reproducible
    scene = SCENES[provider]
    cloud = LenientCloud(scene.manners, page_size=4)
    shelf, kept = EventShelf(), Kept(scene, cloud)
    done = {"kills": 0, "records": 0, "revised": 0, "deleted": 0, "notices": 0}
    with serving(cloud) as url, shelf_served(shelf) as log_url, LinkBook.open(data) as book:
        ready = ready_at(url, provider)
        invitation = invite(book, ready, USER, "http://127.0.0.1:9/callback", time.time_ns() // 1000)
        finish(book, cloud, lambda _: ready, cloud.agree(invitation.url), time.time_ns() // 1000)

        def say(happened: str, record: dict[str, Any]) -> None:
            if scene.says is None:
                return
            with NoticeInbox.open(data) as inbox:
                inbox.put(provider, delivery(scene.says(happened, record), done["notices"]), time.time_ns() // 1000)
            done["notices"] += 1

        for _ in range(kills):
            before = len(cloud.log) + shelf.taken
            worker = start(data, url, log_url, provider)
            for _ in range(rng.randrange(1, 5)):
                _change(rng, kept, done, say)
            if scene.renews and rng.random() < 0.3:
                cloud.expire()
            _begun(lambda before=before: len(cloud.log) + shelf.taken > before)  # type: ignore[misc]
            time.sleep(rng.uniform(0.0, 0.8))  # where it is then is the soak's chance
            worker()
            done["kills"] += 1
        worker = start(data, url, log_url, provider)
        try:
            with NoticeInbox.open(data) as inbox:
                while waiting := inbox.waiting():  # a machine that is busy takes its time: none of it stands still
                    wait_until(lambda now=waiting: inbox.waiting() != now, "what was said is worked off")  # type: ignore[misc]
            wait_until(
                lambda: sorted(value for _, value in shelf.values(scene)) == kept.values,
                "all that the provider has is in the log, once",
            )
            wait_until(lambda: book.of(USER, provider).state in {"ok", "syncing"}, "nobody has to agree again")
            assert sorted(value for _, value in shelf.values(scene)) == kept.values
        finally:
            worker()
    return done | {"refreshes": cloud.refreshes}


def _begun(does: Callable[[], bool]) -> None:
    """The worker has asked or said something, or has had the time to."""
    until = time.monotonic() + _BEGIN_S
    while not does() and time.monotonic() < until:
        time.sleep(0.02)


def _change(rng: random.Random, kept: Kept, done: dict[str, int], say: Any) -> None:
    """Something happens at the provider; what is deleted it says, of the rest it says some, or all that it pushes."""
    chance, value = rng.random(), 1_000 + rng.randrange(5_000)
    if not kept.there or chance < 0.6:
        happened, record = kept.put(None, value)
        done["records"] += 1
    elif chance < 0.85 or not kept.scene.deletes:
        happened, record = kept.put(rng.choice(list(kept.there)), value)
        done["revised"] += 1
    else:
        happened, record = kept.drop(rng.choice(list(kept.there)))
        done["deleted"] += 1
    if happened == "delete" or kept.scene.pushes or rng.random() < 0.5:
        say(happened, record)


def _own_process(data: Path, url: str, log_url: str, provider: str) -> Kill:
    command = [sys.executable, "-m", "tests.support.adapter_child", str(data), url, log_url, provider]
    worker = child.start(command, start_new_session=True, stdout=subprocess.DEVNULL)

    def kill() -> None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    return kill


def _forked(data: Path, url: str, log_url: str, provider: str) -> Kill:
    """A process of its own that has all modules already: a hundred kills are minutes, also of a busy machine."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.adapter_child"])
    worker = context.Process(target=run, args=(data, url, log_url, provider))
    worker.start()

    def kill() -> None:
        worker.kill()
        worker.join()

    return kill


def main() -> int:
    """The soak, from a command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--provider", choices=[*SCENES, "all"], default="all")
    said = parser.parse_args()
    for provider in SCENES if said.provider == "all" else (said.provider,):
        with tempfile.TemporaryDirectory(prefix="soak-adapters-") as directory:
            sys.stdout.write(f"{provider}, seed {said.seed}\n")
            sys.stdout.flush()
            found = soak(Path(directory), said.kills, said.seed, provider, _forked)
        sys.stdout.write(json.dumps(found | {"violations": 0}) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
