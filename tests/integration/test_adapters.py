"""A user's cloud in the log: linked by command, fetched by the service's worker, killed, revised, unlinked."""

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.cloud_links.former_links import PartingBook
from tests.support import child
from tests.support.clouds import CLIENT, SECRET, WITHINGS, CloudManners, ScriptedCloud, serving
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import HEALTHSYNC, Service, run_cli

WHEN = 1_794_800_000


def weighing(number: int, grams: int, modified: int = 1_794_900_000) -> dict[str, Any]:
    measures = [{"value": grams, "type": 1, "unit": -3}]
    date = WHEN + number * 60
    return {"grpid": number, "attrib": 0, "date": date, "modified": modified, "category": 1, "measures": measures}


class Place:
    """A service, and a provider that stands in for Withings."""

    def __init__(self, service: Service, cloud: ScriptedCloud) -> None:
        self.service, self.cloud = service, cloud

    def cli(self, *words: str) -> list[Any]:
        return run_cli(self.service.data, *words)

    def link(self, user: str, provider: str = "withings", cloud: ScriptedCloud | None = None) -> dict[str, Any]:
        command = [*HEALTHSYNC, "adapter", "link", user, provider, "--json"]
        process = child.start(
            command, env=os.environ | {"HEALTHSYNC_DATA": str(self.service.data)}, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        begun = json.loads(process.stdout.readline())
        assert set(begun) == {"url", "state"}
        with urllib.request.urlopen((cloud or self.cloud).agree(begun["url"]), timeout=PATIENCE_S) as page:
            assert page.status == 200
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        return dict(json.loads(out))

    def sync(self, user: str, provider: str = "withings") -> dict[str, int]:
        (done,) = self.cli("adapter", "sync", user, provider, "--wait")
        return {key: done[key] for key in ("stored", "duplicate", "rejected", "deleted")}

    def weights(self, user: str) -> list[Any]:
        return [
            each["value"] for each in self.cli("events", "list", "--user", user, "--type", "weight", "--limit", "50")
        ]

    def workers(self) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"healthsync_mqtt.adapters" in line and str(self.service.data).encode() in line:
                found.append(int(entry.name))
        return found


def section(name: str, url: str, manners: CloudManners) -> str:
    """What the settings say of a provider that stands here."""
    return f"""
[adapters.{name}]
client_id = "{CLIENT}"
client_secret = "{SECRET}"
base_url = "{url}"
auth_url = "{url}{manners.auth_path}"
token_url = "{url}{manners.token_path}"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    data = tmp_path_factory.mktemp("adapters") / "data"
    cloud = ScriptedCloud(WITHINGS, page_size=3)
    with serving(cloud) as url:
        run_cli(data, "user", "add", "alice", "--consent", "all")
        run_cli(data, "user", "add", "bob", "--consent", "steps")
        run_cli(data, "user", "add", "carol-marker", "--consent", "all")
        (data / "healthsync.toml").write_text(section("withings", url, WITHINGS))
        (data / "healthsync.toml").chmod(0o600)
        with Service(data) as service:
            yield Place(service, cloud)


def test_a_link_is_fetched_revised_killed_and_over(place: Place) -> None:
    assert place.workers() == []  # no link, no process
    made = place.link("alice")
    assert (made["linked"], made["provider"]) == (True, "withings")
    place.cloud.records["measure"] = [weighing(number, 72_000 + number) for number in range(7)]
    assert place.sync("alice")["stored"] + place.sync("alice")["duplicate"] >= 7
    assert len(place.weights("alice")) == 7

    place.cloud.records["measure"][0] = weighing(0, 71_000, modified=1_794_990_000)
    for pid in place.workers():
        os.kill(pid, signal.SIGKILL)
    place.sync("alice")
    assert {"kg": 71} in place.weights("alice")
    assert len(place.weights("alice")) == 7

    (link,) = place.cli("adapter", "status")
    assert (link["user_id"], link["provider"], link["state"]) == ("alice", "withings", "ok")
    assert link["synced_at"]
    shown = json.dumps(place.cli("config", "show")) + json.dumps(place.cli("audit", "list"))
    assert SECRET not in shown
    assert "adapter.linked" in shown
    place.cli("adapter", "pause", "alice", "withings")
    assert place.cli("adapter", "status")[0]["paused"] is True
    place.cli("adapter", "pause", "alice", "withings", "--resume")
    place.cli("adapter", "backfill", "alice", "withings")
    assert len(place.weights("alice")) == 7

    place.cli("adapter", "unlink", "alice", "withings", "--yes")
    assert place.cli("adapter", "status") == []
    assert len(place.weights("alice")) == 7  # what is stored stays


def test_what_a_user_does_not_agree_to_is_not_stored(place: Place) -> None:
    place.link("bob")
    place.cloud.records["measure"] = [weighing(1, 72_000)]
    assert place.sync("bob")["rejected"] >= 1
    assert place.weights("bob") == []


def test_who_is_removed_is_linked_to_nothing_and_erased_without_trace(place: Place) -> None:
    """The worker forgets the link and the parting by itself, and an erasure under the running service is done."""
    place.link("carol-marker")
    place.sync("carol-marker")
    place.cli("user", "remove", "bob", "--yes")
    with PartingBook.open(place.service.data) as partings, LinkBook.open(place.service.data) as book:
        wait_until(lambda: not [each for each in book.leaving() if each.user == "bob"], "the link of bob is forgotten")
        wait_until(lambda: not partings.partings(), "there is nobody to tell")
    (done,) = place.cli("user", "erase", "carol-marker", "--yes")
    assert done["erased"] is True
    assert not any(b"marker" in file.read_bytes() for file in place.service.data.glob("adapters.db*"))
    assert place.cli("adapter", "status") == []


#: How the provider speaks of whom the module that ``adapter new`` writes is.
MINE = CloudManners(
    token_path="/token",
    auth_path="/authorize",
    paths={"/v1/weighings": "weighings"},
    page=lambda records, following, _asked: {"data": records} | ({"next": following} if following else {}),
    mark="page",
    pkce=True,
)


def test_a_module_that_is_dropped_in_is_linked_and_fetched_by_the_running_service(place: Place) -> None:
    data = place.service.data
    place.cli("adapter", "new", "mine")
    cloud = ScriptedCloud(MINE)
    cloud.records["weighings"] = [
        {"id": number, "at": f"2026-11-0{number}T07:00:00+01:00", "grams": 72_000 + number} for number in range(1, 6)
    ]
    with serving(cloud) as url:
        with (data / "healthsync.toml").open("a") as settings:
            settings.write(section("mine", url, MINE))
        place.cli("user", "add", "dave", "--consent", "all")
        assert place.link("dave", "mine", cloud)["provider"] == "mine"
        done = place.sync("dave", "mine")
        assert (done["stored"] + done["duplicate"] >= 5, done["rejected"]) == (True, 0)
        assert [each["kg"] for each in place.weights("dave")] == [72 + number / 1_000 for number in range(1, 6)]
        place.cli("adapter", "unlink", "dave", "mine", "--yes")


def test_tokens_and_secrets_are_in_no_log(place: Place) -> None:
    wait_until(place.service.log_path.exists, "the log")
    text = place.service.log_path.read_text()
    assert SECRET not in text
    assert "access-" not in text
