"""Two bridges with one id: the younger one stops, and a dead one stops nobody."""

import pytest

from bridge.edges.namesake import Other, Sightings, Status, read_status

OLD = Status("2026-11-25T06:00:00.000000Z", "bb", "online")
YOUNG = Status("2026-11-25T07:00:00.000000Z", "aa", "online")


def test_the_younger_one_stops_when_the_older_one_comes_back_again_and_again() -> None:
    young = Sightings(YOUNG)
    lost = OLD._replace(status="lost")
    assert [young.saw(each) for each in (lost, OLD, lost)] == [Other.PERHAPS, Other.PERHAPS, Other.LIVES]


def test_the_older_one_goes_on() -> None:
    old = Sightings(OLD)
    assert {old.saw(each) for each in (None, YOUNG, YOUNG._replace(status="lost"), YOUNG)} == {Other.NONE}


@pytest.mark.parametrize("status", ["online", "lost"])
def test_one_that_was_killed_before_stops_nobody(status: str) -> None:
    young = Sightings(YOUNG)
    assert young.saw(OLD._replace(status=status)) is Other.PERHAPS
    young.alone()
    # The broker was killed too and has an old status again.
    assert young.saw(YOUNG._replace(status="lost")) is Other.NONE
    assert young.saw(OLD) is Other.PERHAPS
    young.alone()
    assert young.saw(OLD) is Other.PERHAPS


def test_one_that_said_goodbye_is_not_waited_for() -> None:
    assert Sightings(YOUNG).saw(OLD._replace(status="offline")) is Other.NONE


def test_of_two_that_began_at_once_exactly_one_stops() -> None:
    one, two = Status("t", "aa", "online"), Status("t", "bb", "online")
    assert [Sightings(one).saw(two), Sightings(two).saw(one)] == [Other.NONE, Other.PERHAPS]


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"\xff", b'"x"', b"[" * 100_000])
def test_what_is_no_status_is_nobody(payload: bytes) -> None:
    assert read_status(payload) is None
