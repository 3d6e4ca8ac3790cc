"""A subscriber is set to another place in the log: connected, away, or not there yet."""

import pytest

from tests.unit.bridge.bench import until
from tests.unit.bridge.follow.test_publish import Line, Stand, stand

__all__ = ["stand"]

PLACE = "subscriber:app"


async def taken(line: Line, count: int) -> list[str]:
    """What has come when that is so many, all of it acknowledged."""
    while len(line.ids()) < count:
        before = len(line.ids())
        await until(lambda: len(line.ids()) > before)  # noqa: B023
        line.acknowledge()
    return line.ids()


def kept(stand: Stand) -> int | None:
    return stand.log.reader().cursor(PLACE)


@pytest.mark.parametrize("clean", [True, False])
async def test_who_is_connected_gets_the_past_again_at_once_and_then_the_present(stand: Stand, clean: bool) -> None:
    line = stand.connect(clean=clean)
    stand.store("a", "b", "c")
    await taken(line, 3)
    assert await stand.publisher.rewind("app", 1) == 1
    assert await taken(line, 5) == ["a", "b", "c", "b", "c"]
    stand.store("d")
    assert await taken(line, 6) == ["a", "b", "c", "b", "c", "d"]
    assert kept(stand) == (None if clean else 1), "written down as what was acknowledged is, else not at all"
    stand.publisher.keep()
    assert kept(stand) == (None if clean else 4)


async def test_now_leaves_out_what_waits_and_a_crash_does_not_bring_it_back(stand: Stand) -> None:
    line = stand.connect(clean=False)
    line.reads = False
    stand.store(*(f"e{number}" for number in range(300)))
    session = line.session
    assert session is not None
    await until(lambda: session.backlog > 0)
    line.reads = True
    line.flush()  # some were sent, and are not acknowledged
    sent = len(line.ids())
    assert 0 < sent < 300
    assert await stand.publisher.rewind("app", None) == 300
    assert session.backlog == sent
    stand.publisher.keep()
    assert kept(stand) == 300, "what was sent and is not acknowledged counts for nothing"
    stand.store("after")
    line.acknowledge()
    await until(lambda: "after" in line.ids())
    assert line.ids()[sent:] == ["after"]


async def test_an_acknowledgement_that_comes_late_does_not_move_the_place(stand: Stand) -> None:
    line = stand.connect(clean=False)
    stand.store("a", "b")
    await until(lambda: len(line.ids()) == 2)
    await stand.publisher.rewind("app", 0)
    stand.publisher.keep()
    assert kept(stand) == 0
    line.acknowledge()  # of the first two
    assert (await taken(line, 4))[2:] == ["a", "b"]


async def test_who_is_away_goes_on_there(stand: Stand) -> None:
    line = stand.connect(clean=False)
    stand.store("a", "b", "c")
    await taken(line, 3)
    stand.disconnect(line)
    assert await stand.publisher.rewind("app", 2) == 2
    assert kept(stand) == 2
    again = stand.connect(clean=False)
    assert await taken(again, 1) == ["c"]


async def test_who_was_never_here_begins_there_however_old_it_is(stand: Stand) -> None:
    stand.store("a", "b")
    assert await stand.publisher.rewind("app", 0) == 0
    stand.publisher.drop_abandoned(lambda _: True, since_us=1_000_000)
    assert kept(stand) == 0
    line = stand.connect(clean=False)
    assert await taken(line, 2) == ["a", "b"]
    await stand.publisher.rewind("gone", 0)
    stand.publisher.drop_abandoned(lambda name: name == "app", since_us=0)
    assert stand.log.reader().cursor("subscriber:gone") is None


async def test_a_place_behind_the_end_is_the_end_and_older_places_are_not_written_after_it(stand: Stand) -> None:
    line = stand.connect(clean=False)
    stand.store("a")
    await taken(line, 1)
    stand.publisher._cursors._writing = True  # a write is on its way
    stand.store("b")
    await taken(line, 2)
    stand.publisher.keep()
    await stand.publisher.rewind("app", 0)
    stand.publisher._cursors._writing = False
    stand.publisher._cursors.keep()
    assert kept(stand) == 0
    assert await stand.publisher.rewind("app", 99) == 2


async def test_what_a_group_gave_stays(stand: Stand) -> None:
    line = stand.connect(clean=False)
    session = line.session
    assert session is not None
    line.reads = False
    stand.store("a")
    await until(lambda: session.backlog == 1)
    message = session._queue[0].message
    session.offer(message._replace(share=_Group()))
    await stand.publisher.rewind("app", None)
    assert [each.message.share is None for each in session._queue] == [False]


class _Group:
    def over(self, session: object, seq: int) -> None:
        pass
