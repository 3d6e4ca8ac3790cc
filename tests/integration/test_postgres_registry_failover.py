"""A registry whose server is lost, and a standby takes over that lacks what was changed last."""

import random

import pytest

from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.people.postgres.tables import PostgresTables
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.postgres.connection import ServerPlace
from healthsync_mqtt.testing.registry_contract import NOW_US
from tests.support.patience import wait_until
from tests.support.postgres import NEEDED
from tests.support.soak.pair import Pair

pytestmark = NEEDED

NEWEST = "SELECT max(no) FROM registry.changes"


@pytest.mark.parametrize("says", [True, False], ids=["history", "no-history"])
def test_who_reads_goes_by_what_is_there_now_also_where_numbers_are_given_again(
    monkeypatch: pytest.MonkeyPatch, *, says: bool
) -> None:
    """A change is lost, and before anybody who knew it reads again another one has its number."""
    if not says:
        monkeypatch.setitem(PostgresTables._look_back.__globals__["SQL"], "history", "SELECT not_on_this_server()")
    with Pair.running() as pair:
        pair.synchronous = False
        pair.follow()
        place = ServerPlace(pair.url, "registry")
        with Registry(PostgresTables.open(place)) as one, Registry(PostgresTables.open(place)) as other:
            one.add_user("alice", "all", NOW_US)
            for device in ("watch", "phone"):
                one.add_device("alice", device, NOW_US)
            directory = Directory(other)
            pair.leave_behind()
            kept = pair.primary.execute(NEWEST)[0][0]
            one.revocation.suspend_device("alice", "watch", NOW_US)
            assert lost(directory) == {"alice-watch"}
            newest, generation = pair.primary.execute(NEWEST), other.generation()
            pair.fail_over(random.Random(0))
            pair.primary.execute(f"SELECT setval('registry.changes_no_seq', {kept})")
            with Registry(PostgresTables.open(place)) as desk:
                desk.revocation.suspend_device("alice", "phone", NOW_US)
            assert pair.primary.execute(NEWEST) == newest, "the number that the lost one had"
            assert lost(directory) == {"alice-phone"}
            assert directory.has_device("alice", "watch"), "nobody on this server knows that it was suspended"
            assert other.generation() != generation, "whoever has read something by it reads it again"


def lost(directory: Directory) -> frozenset[str]:
    """Who lost something, by the first look that sees it: the server tells of a change a moment after it was made."""
    seen: list[frozenset[str]] = []

    def found() -> bool:
        seen.append(directory.refresh())
        return bool(seen[-1])

    wait_until(found, "the change is seen")
    return seen[-1]
