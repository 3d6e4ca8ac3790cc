"""What every kind of sink that takes users' days promises (``sinks.port.DaySink``), as tests that any runs through.

Subclass ``DaySinkContract`` in a test module and give it a ``target`` fixture: how to open the sink anew on the same
server, what is there now, how to make the server go away and come back, and how a person is erased there.
"""

from typing import Protocol

from healthsync_mqtt.sinks.port import DaySink, Next, UserDay
from healthsync_mqtt.summaries.rules import DayFigures

_DAY = 20_717
_DAY_US = 86_400_000_000


class DayTarget(Protocol):
    """A server, or a folder, and what ships days to it."""

    def open(self) -> DaySink:
        """As a process has it that starts now."""

    def there(self) -> dict[tuple[str, int], float]:
        """The steps of each day that counts as there now: of whom (as the sink names people), and which."""

    def named(self, user: str) -> str:
        """How the sink names a user."""

    def away(self, *, away: bool) -> None:
        """Make the server fail, or work again."""

    def erase(self, user: str) -> None:
        """As the kind's ``Sink`` does: nothing of the user is there afterwards, by ``mend``."""


def steps(day: int, taken: int | None, user: str = "alice") -> UserDay:
    """What a day came to; None: to nothing any more."""
    if taken is None:
        return UserDay(user, "steps", _DAY + day, None)
    figures = DayFigures({"steps": taken, "sources": ["watch"]}, (_DAY + day) * _DAY_US, 3_600_000_000)
    return UserDay(user, "steps", _DAY + day, figures)


class DaySinkContract:
    """The tests."""

    def test_a_day_is_there_and_one_that_changes_is_another(self, target: DayTarget) -> None:
        """Of each user by itself."""
        sink = target.open()
        assert sink.send([steps(0, 100), steps(1, 200), steps(0, 7, "bob")]).next is Next.DONE
        assert sink.send([steps(0, 150)]).next is Next.DONE
        sink.disconnect()
        alice, bob = target.named("alice"), target.named("bob")
        assert target.there() == {(alice, _DAY): 150.0, (alice, _DAY + 1): 200.0, (bob, _DAY): 7.0}

    def test_twice_is_once(self, target: DayTarget) -> None:
        """Also in a new process, which does not know what arrived."""
        days = [steps(0, 100), steps(1, 200)]
        for _ in range(2):
            sink = target.open()
            assert sink.send(days).next is Next.DONE
            assert sink.send(days).next is Next.DONE
            sink.disconnect()
        alice = target.named("alice")
        assert target.there() == {(alice, _DAY): 100.0, (alice, _DAY + 1): 200.0}

    def test_a_day_that_comes_to_nothing_is_there_no_more(self, target: DayTarget) -> None:
        """In another process than the one that sent it, and again once there is something."""
        sink = target.open()
        sink.send([steps(0, 100), steps(1, 200)])
        sink.disconnect()
        later = target.open()
        assert later.send([steps(0, None)]).next is Next.DONE
        alice = target.named("alice")
        assert target.there() == {(alice, _DAY + 1): 200.0}
        assert later.send([steps(0, 10)]).next is Next.DONE
        later.disconnect()
        assert target.there() == {(alice, _DAY): 10.0, (alice, _DAY + 1): 200.0}

    def test_a_server_that_is_away_is_waited_for(self, target: DayTarget) -> None:
        """Never raised, never taken for done; what was not there is there when it is sent again, or taken away."""
        sink = target.open()
        target.away(away=True)
        waiting = sink.send([steps(0, 100), steps(1, 200)])
        assert waiting.next in {Next.WAIT, Next.PAUSE}
        assert waiting.reason
        target.away(away=False)
        sink.disconnect()
        assert sink.send([steps(0, None), steps(1, 200)]).next is Next.DONE
        sink.disconnect()
        assert target.there() == {(target.named("alice"), _DAY + 1): 200.0}

    def test_who_is_erased_has_no_days_and_others_keep_theirs(self, target: DayTarget) -> None:
        """Of somebody with a like name nothing is gone, and the sink goes on."""
        sink = target.open()
        sink.send([steps(0, 100), steps(0, 7, "alice2"), steps(1, 8, "ali")])
        sink.disconnect()
        kept = {(target.named("alice2"), _DAY): 7.0, (target.named("ali"), _DAY + 1): 8.0}
        target.erase("alice")
        assert target.there() == kept
        sink = target.open()
        assert sink.send([steps(2, 30, "ali")]).next is Next.DONE
        sink.disconnect()
        assert target.there() == kept | {(target.named("ali"), _DAY + 2): 30.0}
