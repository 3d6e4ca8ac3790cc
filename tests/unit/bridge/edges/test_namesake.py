"""Two bridges with one id: the younger one stops, and a dead one stops nobody."""

import pytest

from bridge.edges.namesake import NamesakeWatch, OtherBridge, Status, read_status

OLD = Status("2026-11-25T06:00:00.000000Z", "bb", "online")
YOUNG = Status("2026-11-25T07:00:00.000000Z", "aa", "online")


def test_the_younger_one_stops_when_the_older_one_comes_back_again_and_again() -> None:
    young = NamesakeWatch(YOUNG)
    lost = OLD._replace(status="lost")
    assert [young.saw(each) for each in (lost, OLD, lost)] == [
        OtherBridge.PERHAPS,
        OtherBridge.PERHAPS,
        OtherBridge.LIVES,
    ]


def test_the_older_one_goes_on() -> None:
    old = NamesakeWatch(OLD)
    assert {old.saw(each) for each in (None, YOUNG, YOUNG._replace(status="lost"), YOUNG)} == {OtherBridge.NONE}


@pytest.mark.parametrize("status", ["online", "lost"])
def test_one_that_was_killed_before_stops_nobody(status: str) -> None:
    young = NamesakeWatch(YOUNG)
    assert young.saw(OLD._replace(status=status)) is OtherBridge.PERHAPS
    young.alone()
    # The broker was killed too and has an old status again.
    assert young.saw(YOUNG._replace(status="lost")) is OtherBridge.NONE
    assert young.saw(OLD) is OtherBridge.PERHAPS
    young.alone()
    assert young.saw(OLD) is OtherBridge.PERHAPS


def test_one_that_said_goodbye_is_not_waited_for() -> None:
    assert NamesakeWatch(YOUNG).saw(OLD._replace(status="offline")) is OtherBridge.NONE


def test_of_two_that_began_at_once_exactly_one_stops() -> None:
    one, two = Status("t", "aa", "online"), Status("t", "bb", "online")
    assert [NamesakeWatch(one).saw(two), NamesakeWatch(two).saw(one)] == [OtherBridge.NONE, OtherBridge.PERHAPS]


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"\xff", b'"x"', b"[" * 100_000])
def test_what_is_no_status_is_nobody(payload: bytes) -> None:
    assert read_status(payload) is None
