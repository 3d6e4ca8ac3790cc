"""While who holds the keys, or has the registry, is away: nothing is given up that can be done when it is back."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.adapters.user_standing import UserStanding
from healthsync_mqtt.cloud_links.former_links import end_links
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.opening import ring_of
from tests.unit.adapters.test_fetch import Everybody, Rig, night
from tests.unit.adapters.test_notice_fetch import look, of_oura, rig

__all__ = ["rig"]

LATER_US = 7 * 3_600 * 1_000_000


@contextmanager
def keys_away(data: Path) -> Iterator[None]:
    """As after a restart while the holder of the outer key does not answer."""
    ring = ring_of(data)
    holders, ring._providers = ring._providers, {}
    ring._known, ring._newest, ring._marking = {}, {}, {}
    yield
    ring._providers = holders


def test_a_link_that_ends_then_is_parted_from_when_they_are_back(rig: Callable[[str], Rig]) -> None:
    here = rig("whoop")
    link = here.book.of("ann", "whoop")
    with keys_away(here.data):
        assert end_links(here.data, "ann") == ["whoop"]
        assert not here.book.stands(link.id)
        look(here)
        assert here.book.is_leaving(link.id)
        said = len(here.log.states)
        look(here)
        assert len(here.log.states) == said, "not at every look"
    here.now_us += LATER_US
    look(here)
    look(here)
    assert (here.book.link(link.id), here.partings.partings(), here.cloud.revocations) == (None, [], 1)


def test_a_provider_that_could_not_be_told_for_it_is_told(rig: Callable[[str], Rig]) -> None:
    here = rig("whoop")
    here.partings.end("ann")
    with keys_away(here.data):
        look(here)
        (parting,) = here.partings.partings()
        assert parting.failures == 1
    here.now_us += LATER_US
    look(here)
    assert (here.partings.partings(), here.cloud.revocations) == ([], 1)


def test_an_erasure_waits_for_a_key_that_is_away_and_not_for_one_that_is_destroyed(rig: Callable[[str], Rig]) -> None:
    here = rig("whoop")
    link = here.book.of("ann", "whoop")
    here.inbox.put("whoop", b'{"user_id": "of nobody"}', here.now_us)
    with keys_away(here.data):
        here.partings.end("ann", erasure="e1")
        with pytest.raises(KeyUnavailableError):
            here.partings.erase("ann", here.flights, erasure="e1")
        assert here.book.link(link.id) is not None
    here.partings.erase("ann", here.flights, erasure="e1")
    assert [each.provider for each in here.partings.partings(erasure="e1")] == ["whoop"]
    assert (here.book.link(link.id), here.inbox.waiting()) == (None, {"whoop": 1})
    gone = here.link("bob")
    ring_of(here.data).destroy("bob")
    here.partings.erase("bob", here.flights, erasure="e2")
    assert (here.book.link(gone.id), here.partings.partings(erasure="e2")) == (None, [])


def test_a_delivery_waits_for_its_key(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.cloud.records["sleep"] = [night("n1")]
    here.inbox.put("oura", json.dumps(of_oura("create", "n1")).encode(), here.now_us)
    with keys_away(here.data):
        with pytest.raises(KeyUnavailableError):
            here.inbox.withdraw("oura", "oura-user-1")
        look(here)
        assert here.inbox.waiting() == {"oura": 1}
    here.now_us += LATER_US
    look(here)
    assert (len(here.log.told("sleep")), here.inbox.waiting()) == (1, {})


class Away(Everybody):
    """A registry on a server that may not answer."""

    away = False

    def standing(self, user: str) -> UserStanding:
        if self.away:
            raise StoreError("PostgreSQL cannot be reached")
        return super().standing(user)


def away(here: Rig) -> Away:
    here.people = Away()
    here.worker = here.new_worker()
    return here.people


def test_a_delivery_waits_for_the_registry(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    people = away(here)
    here.cloud.records["sleep"] = [night("n1")]
    here.inbox.put("oura", json.dumps(of_oura("create", "n1")).encode(), here.now_us)
    people.away = True
    look(here)
    assert here.inbox.waiting() == {"oura": 1}
    people.away = False
    here.now_us += LATER_US
    look(here)
    assert (len(here.log.told("sleep")), here.inbox.waiting()) == (1, {})


def test_who_could_not_be_looked_at_is_looked_at_again(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    link, people = here.book.of("ann", "oura"), away(here)
    people.known["ann"] = UserStanding.gone
    people.away = True
    look(here)
    people.away = False
    here.now_us += 31_000_000
    look(here)
    look(here)
    assert here.book.link(link.id) is None


def test_what_nobody_can_open_again_holds_nothing_up(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    said: dict[str, Any] = of_oura("create", "n1")
    here.inbox.put("oura", json.dumps(said).encode(), here.now_us)
    ring_of(here.data).destroy_service("inbox")
    look(here)
    assert here.inbox.waiting() == {}
