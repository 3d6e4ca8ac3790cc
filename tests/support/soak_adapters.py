"""Kills under a cloud: the adapters' worker is killed at random places while it imports, polls, renews tokens and works
webhooks off; then everything has to be in the log once, and no user has to agree again.

The provider and the log stand in this process and survive; a worker is a child process with the real files.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from healthsync_mqtt.adapters.agreeing import finish, invite
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.linked.inbox import NoticeInbox
from tests.support import child
from tests.support.adapter_child import ready_at
from tests.support.clouds import OURA, ScriptedCloud, serving
from tests.support.patience import wait_until

USER = "ann"
ACCOUNT = "oura-user-1"


@dataclass
class LenientCloud(ScriptedCloud):
    """Rotates as providers do that can be killed at: the pair before is good until the new one is used."""

    before: set[str] = field(default_factory=set)

    def pair(self) -> dict[str, Any]:
        """New tokens beside the last ones."""
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
        self._turn = threading.Lock()

    def take(self, batch: list[dict[str, Any]]) -> dict[str, int]:
        """What became of a message."""
        stored = 0
        with self._turn:
            for event in batch:
                if self.events.get(event["id"]) != event:
                    self.events[event["id"]] = event
                    stored += 1
        return {"stored": stored, "duplicate": len(batch) - stored, "rejected": 0}

    def nights(self) -> dict[str, Any]:
        """The nights that are there, by their name at the provider."""
        with self._turn:
            found = [each for each in self.events.values() if each["type"] == "sleep" and each.get("op") != "delete"]
        return {each["source"]["record_id"]: each["value"].get("total_asleep_s") for each in found}


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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def night_of(number: int, seconds: int) -> dict[str, Any]:
    """A night of a day in November, each with a name of its own."""
    day, hour = 1 + number % 17, number // 17 % 20
    return {
        "id": f"n{number}", "type": "sleep", "bedtime_start": f"2026-11-{day:02}T{hour:02}:00:00+01:00",
        "bedtime_end": f"2026-11-{day:02}T{hour + 2:02}:00:00+01:00", "total_sleep_duration": seconds,
    }  # fmt: skip


def soak(data: Path, kills: int, seed: int) -> dict[str, int]:
    """Kill a worker so often; what was done. AssertionError where anything is lost, double, or stands still."""
    rng = random.Random(seed)  # reproducible
    cloud = LenientCloud(OURA, page_size=4)
    shelf = EventShelf()
    done = {"kills": 0, "records": 0, "revised": 0, "deleted": 0, "notices": 0}
    with serving(cloud) as url, shelf_served(shelf) as log_url, LinkBook.open(data) as book:
        ready = ready_at(url)
        invitation = invite(book, ready, USER, "http://127.0.0.1:9/callback", time.time_ns() // 1000)
        finish(book, cloud, lambda _: ready, cloud.agree(invitation.url), time.time_ns() // 1000)
        records: dict[str, dict[str, Any]] = {}
        cloud.records["sleep"] = []

        def say(happened: str, name: str) -> None:
            said = {"event_type": happened, "data_type": "sleep", "object_id": name, "user_id": ACCOUNT}
            with NoticeInbox.open(data) as inbox:
                inbox.put("oura", json.dumps(said | {"nonce": done["notices"]}).encode(), time.time_ns() // 1000)
            done["notices"] += 1

        for _ in range(kills):
            worker = _worker(data, url, log_url)
            for _ in range(rng.randrange(1, 5)):
                _change(rng, records, done, say)
                cloud.records["sleep"] = list(records.values())
            if rng.random() < 0.3:
                cloud.expire()
            time.sleep(rng.uniform(0.3, 1.5))  # where it is then is the soak's chance
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            done["kills"] += 1
        worker = _worker(data, url, log_url)
        try:
            expected = {name: each["total_sleep_duration"] for name, each in records.items()}
            wait_until(lambda: shelf.nights() == expected, "all that the provider has is in the log")
            with NoticeInbox.open(data) as inbox:
                wait_until(lambda: inbox.waiting() == {}, "what was said is worked off")
            wait_until(lambda: book.of(USER, "oura").state in {"ok", "syncing"}, "nobody has to agree again")
            assert shelf.nights() == expected
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
    return done | {"refreshes": cloud.refreshes}


def _change(rng: random.Random, records: dict[str, dict[str, Any]], done: dict[str, int], say: Any) -> None:
    """Something happens at the provider; what is deleted it says, of the rest it says some."""
    chance = rng.random()
    if not records or chance < 0.6:
        made = night_of(done["records"], 3_600 + rng.randrange(3_000))
        records[made["id"]] = made
        done["records"] += 1
        happened = "create"
    else:
        made = records[rng.choice(list(records))]
        if chance < 0.85:
            records[made["id"]] = made | {"total_sleep_duration": 3_600 + rng.randrange(3_000)}
            done["revised"] += 1
            happened = "update"
        else:
            del records[made["id"]]
            done["deleted"] += 1
            happened = "delete"
    if happened == "delete" or rng.random() < 0.5:
        say(happened, made["id"])


def _worker(data: Path, url: str, log_url: str) -> "subprocess.Popen[Any]":
    command = [sys.executable, "-m", "tests.support.adapter_child", str(data), url, log_url]
    return child.start(command, start_new_session=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """The soak, from a command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    said = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-adapters-") as directory:
        sys.stdout.write(f"seed {said.seed}\n")
        sys.stdout.flush()
        found = soak(Path(directory), said.kills, said.seed)
    sys.stdout.write(json.dumps(found | {"violations": 0}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
