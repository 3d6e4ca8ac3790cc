"""Room for long messages: never more than there is, in turns of users, and given back whole."""

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.mqtt.message_room import MessageRoom, RoomPlace


def test_who_holds_nothing_goes_before_who_holds_something() -> None:
    room, came = MessageRoom(10, 100), list[str]()
    first = room.ask("alice", 60, lambda: None)
    second = room.ask("alice", 60, lambda: came.append("alice"))
    third = room.ask("bob", 60, lambda: came.append("bob"))
    assert (first.waits, second.waits, third.waits) == (False, True, True)
    more = room.hold("alice", 30)
    first.leave()
    assert came == ["bob"]
    more.leave()
    third.leave()
    assert came == ["bob", "alice"]
    second.leave()
    second.leave()
    assert (room.used, room.crowded) == (0, False)


def test_a_long_one_is_not_overtaken_by_short_ones_and_one_that_gives_up_makes_way() -> None:
    room, came = MessageRoom(10, 100), list[str]()
    held = room.ask("alice", 60, lambda: None)
    long = room.ask("bob", 90, lambda: came.append("bob"))
    short = room.ask("carol", 20, lambda: came.append("carol"))
    assert short.waits
    long.leave()
    assert came == ["carol"]
    held.leave()
    short.leave()
    assert room.used == 0


def test_the_longest_is_what_there_is_room_for() -> None:
    room = MessageRoom(10, 100)
    assert [room.longest(wanted) for wanted in (5, 50, 500)] == [10, 50, 100]
    assert not room.ask("alice", 101, lambda: None).waits, "alone, it would wait for ever"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcd"), st.integers(1, 100)), max_size=60))
def test_never_more_than_there_is_and_nobody_waits_for_nothing(steps: list[tuple[bool, str, int]]) -> None:
    room, places = MessageRoom(1, 100), list[RoomPlace]()
    for comes, user, size in steps:
        if comes or not places:
            places.append(room.ask(user, size, lambda: None))
        else:
            places.pop(size % len(places)).leave()
        held = [place.size for place in places if not place.waits]
        assert room.used == sum(held) <= 100
        assert not room.crowded or held
    for place in places:
        place.leave()
    assert (room.used, room.crowded) == (0, False)
