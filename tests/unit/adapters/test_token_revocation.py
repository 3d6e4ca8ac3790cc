"""Links of who is removed, erased or consents to nothing: nothing is fetched, and nothing of the person is left."""

import asyncio
import contextlib
import dataclasses
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.adapters.link_state import CloudLinkState
from healthsync_mqtt.adapters.user_standing import RegisteredPeople, UserStanding
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest, DirectWeb
from healthsync_mqtt.cloud_links.former_links import end_links
from healthsync_mqtt.errors import ConflictError, UnavailableError
from healthsync_mqtt.identity.registry import Registry
from tests.support import child
from tests.support.clouds import serving
from tests.support.patience import PATIENCE_S
from tests.unit.adapters.test_fetch import NOW_US, Rig, weighing


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[[str], Rig]]:
    made: list[Rig] = []

    def make(provider: str) -> Rig:
        made.append(Rig(tmp_path / "data", provider))
        return made[-1]

    (tmp_path / "data").mkdir()
    yield make
    for each in made:
        each.close()


def look(here: Rig) -> None:
    async def once() -> None:
        async with asyncio.TaskGroup() as group:
            here.worker.look(group)

    asyncio.run(once())


def test_of_who_is_gone_nothing_is_asked_and_the_link_is_over(rig: Callable[[str], Rig]) -> None:
    here = rig("withings")
    link = here.link()
    here.cloud.records["measure"] = [weighing(1, 72_000)]
    asked = len(here.cloud.log)
    here.people.known["ann"] = UserStanding.gone
    assert here.sync() == {"state": "gone"}
    assert (len(here.cloud.log), here.log.published, here.log.states) == (asked, 0, [])
    look(here)
    assert here.log.states == [("ann", {})]
    assert here.book.link(link.id) is None


def test_who_goes_while_it_is_fetched_has_no_further_message(rig: Callable[[str], Rig]) -> None:
    here = rig("withings")
    here.link()
    here.cloud.records["measure"] = [weighing(number, 72_000 + number) for number in range(9)]

    def remove() -> None:
        here.people.known["ann"] = UserStanding.gone

    here.log.after = remove
    asked = len(here.cloud.log)
    assert here.sync() == {"state": "gone", "stored": 2, "duplicate": 0, "rejected": 0, "deleted": 0}
    assert here.log.published == 1
    assert len(here.cloud.log) == asked + 1, "no page after the message"


def test_links_that_a_killed_command_left_are_swept(rig: Callable[[str], Rig]) -> None:
    """It is not due for a long time, and still ends."""
    here = rig("withings")
    link = here.link()
    assert here.sync()["state"] == "ok"
    here.people.known["ann"] = UserStanding.gone
    look(here)
    look(here)
    assert here.book.link(link.id) is None


def test_without_any_consent_it_is_paused_and_goes_on_by_itself(rig: Callable[[str], Rig]) -> None:
    here = rig("withings")
    here.link()
    here.cloud.records["measure"] = [weighing(1, 72_000)]
    here.people.known["ann"] = UserStanding.held
    asked = len(here.cloud.log)
    found = here.sync()
    assert found["state"] == "paused"
    assert "consent grant" in found["hint"]
    assert len(here.cloud.log) == asked
    assert here.log.states[-1] == ("ann", {"state": "paused", "hint": found["hint"]})
    here.people.known.clear()
    here.now_us += 61 * 1_000_000
    look(here)
    assert here.book.of("ann", "withings").state is CloudLinkState.ok
    assert here.log.told("weight") == [{"kg": 72}]


def test_the_provider_is_told_again_until_it_knows(rig: Callable[[str], Rig]) -> None:
    here = rig("whoop")
    here.link()
    here.cloud.expire()
    here.cloud.faults = [CloudAnswer(status=0, fault="unreachable"), CloudAnswer(status=503)]
    assert end_links(here.data, "ann") == ["whoop"]
    assert end_links(here.data, "ann") == []
    for failures in (0, 1):
        (parting,) = here.partings.partings()
        assert parting.failures == failures
        look(here)
        here.now_us += 3_600 * 1_000_000
    look(here)
    assert (here.cloud.revocations, here.cloud.refreshes, here.partings.partings()) == (1, 1, [])


def test_one_without_such_a_call_and_one_that_lets_us_in_no_more_are_over(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.link()
    here.partings.end("ann")
    look(here)
    assert here.partings.partings() == []
    other = rig("whoop")
    other.link()
    other.cloud.revoked = True
    other.cloud.expire()
    other.partings.end("ann")
    look(other)
    assert other.partings.partings() == []


def test_a_parting_names_nobody(rig: Callable[[str], Rig]) -> None:
    here = rig("withings")
    here.link("marker-zoe")
    here.link("bob")
    here.sync("marker-zoe")
    here.book.expect("s1", "marker-zoe", "oura", redirect="http://127.0.0.1:1", verifier="v", until_us=NOW_US * 2)
    here.partings.end("marker-zoe", erasure="e1")
    here.partings.erase("marker-zoe", here.flights, erasure="e1")
    here.partings.scrub()
    assert not any(b"marker" in file.read_bytes() for file in here.data.glob("adapters.db*"))
    (parting,) = here.partings.partings(erasure="e1")
    assert b"41234567" not in here.partings.tokens(parting), "the account at the provider"
    assert [each.user for each in here.book.links()] == ["bob"]
    with pytest.raises(ConflictError):
        here.book.expected("s1", NOW_US)


_HOLDER = """
import sys
from pathlib import Path
from healthsync_mqtt.cloud_links.flights import Flights
with Flights(Path(sys.argv[1])).turn_now(int(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_an_erasure_waits_for_a_link_that_is_at_work_in_another_process(rig: Callable[[str], Rig]) -> None:
    here = rig("whoop")
    link = here.link()
    command = [sys.executable, "-c", _HOLDER, str(here.data), str(link.id)]
    with child.started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        here.partings.end("ann", erasure="e1")
        with pytest.raises(UnavailableError):
            here.partings.erase("ann", here.flights, erasure="e1")
        assert not here.book.stands(link.id)
        holder.stdin.close()
        holder.wait(PATIENCE_S)
    here.partings.erase("ann", here.flights, erasure="e1")
    assert here.book.link(link.id) is None


_WORKER = """
import asyncio, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from healthsync_mqtt.cloud_links.flights import Flights
from tests.unit.adapters.test_fetch import Rig
from tests.unit.adapters.test_token_revocation import at

taken = Flights._taken

def seen(self, link):
    found = taken(self, link)
    if not found:
        print("waits", flush=True)
    return found

Flights._taken = seen
here = at(Rig(Path(sys.argv[2]), "oura"), sys.argv[3])
print(json.dumps(asyncio.run(here.worker.fetch(here.book.of("ann", "oura")))), flush=True)
"""


def at(here: Rig, url: str) -> Rig:
    """The same, with the provider on a port: a process of its own asks it."""
    cloud = dataclasses.replace(here.ready.cloud, base_url=url, token_url=url + here.cloud.manners.token_path)
    here.ready = dataclasses.replace(here.ready, cloud=cloud)
    here.cloud.ask = DirectWeb().ask  # type: ignore[method-assign]
    here.worker = here.new_worker()
    return here


def test_of_two_processes_one_renews_and_the_other_takes_what_it_got(rig: Callable[[str], Rig]) -> None:
    """The provider keeps the first refresh waiting until the other process waits for its turn, or asks as well."""
    here = rig("oura")
    here.link()
    here.cloud.expire()
    ask, refreshes, both_there = here.cloud.ask, [], threading.Event()

    def slow(request: CloudRequest) -> CloudAnswer:
        if b"grant_type=refresh_token" in (request.body or b""):
            refreshes.append(request)
            if len(refreshes) > 1:
                both_there.set()
            both_there.wait(PATIENCE_S)
        return ask(request)

    def read(process: Any) -> None:
        for line in process.stdout:
            if line == "waits\n":
                both_there.set()
            else:
                done.append(json.loads(line)["state"])

    here.cloud.ask = slow  # type: ignore[method-assign]
    done: list[str] = []
    root = str(Path(__file__).parents[3])
    with contextlib.ExitStack() as open_until:
        url = open_until.enter_context(serving(here.cloud))
        command = [sys.executable, "-c", _WORKER, root, str(here.data), url]
        both = [
            open_until.enter_context(child.started(command, stdout=subprocess.PIPE, text=True, cwd=root))
            for _ in range(2)
        ]
        readers = [threading.Thread(target=read, args=(each,), daemon=True) for each in both]
        for each in readers:
            each.start()
        for each in readers:
            each.join(PATIENCE_S)
    assert done == ["ok", "ok"]
    assert len(refreshes) == 1


def test_the_registry_says_who_is_there(tmp_path: Path) -> None:
    with Registry.open(tmp_path / "registry.db") as registry:
        people = RegisteredPeople(registry, now_us=lambda: NOW_US)
        assert people.standing("ann") is UserStanding.gone
        registry.add_user("ann", ["steps"], NOW_US - 10)
        assert people.standing("ann") is UserStanding.here
        registry.consent.withdraw("ann", "*", NOW_US - 5, recorded_by="test")
        assert people.standing("ann") is UserStanding.held
        registry.remove_user("ann", NOW_US)
        assert people.standing("ann") is UserStanding.gone
