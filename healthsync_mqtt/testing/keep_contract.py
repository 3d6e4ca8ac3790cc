"""What every keeper of sessions promises (``sessions.port.Keep``), as tests that any of them runs through.

Subclass ``KeepContract`` in a test module and give it a ``place`` fixture, which is empty; ``LastingKeepContract``
where what is said lasts beyond the run of the service.
"""

import asyncio
from typing import Protocol

from healthsync_mqtt.broker.embedded.sessions.port import Keep, KeptSession, KeptWill, OwedMessage, Subscribed
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.model.principal import Principal, Role

APP = Principal(role=Role.subscriber, client_id="app", users=frozenset({"alice"}), types=None)
OTHER = Principal(role=Role.subscriber, client_id="other", users=None, types=None)
_WITHIN_S = 120.0
_ONE = OwedMessage(b"t", b"one", 1, retain=False)
_TWO = OwedMessage(b"t", b"two", 2, retain=True, about=b"\x02\x00\x00\x00\x01", expires=99.5, identifiers=(7, 8))
_WILL = KeptWill(APP, 20.25, "users/alice/devices/watch/status", b"gone", 1, retain=True, about=b"\x01\x01", lives_s=60)


class KeepPlace(Protocol):
    """Where one keep after the other keeps what it is told."""

    def open(self) -> Keep:
        """A keep as a service has it that starts now."""

    def end(self, *, clean: bool) -> None:
        """The run is over: stopped in good order, or killed."""


async def durable(keep: Keep) -> None:
    """Everything said so far is kept."""
    told = asyncio.Event()
    keep.durable(told.set)
    async with asyncio.timeout(_WITHIN_S):
        await told.wait()


async def _again(place: KeepPlace, keep: Keep) -> Keep:
    """The next run, after a kill."""
    await durable(keep)
    place.end(clean=False)
    return place.open()


def _everything(keep: Keep) -> int:
    """Say one of each; the number of the session."""
    no = keep.opened(APP)
    keep.filter(no, "users/+/canonical/#", Subscribed(1, True, 0x28, 5))
    keep.owed(no, 1, _ONE)
    keep.owed(no, 2, _TWO)
    keep.unreleased(no, 9, waits=True)
    keep.retain("a/b", Retained("a/b", b"on", 1, 5, b"\x01\x00", 50.25, "alice-watch"))
    keep.will(3, _WILL)
    keep.changed(no, APP, 12.5, 3600.0)
    return no


class KeepContract:
    """The tests of every keep."""

    async def test_a_new_place_has_nothing(self, place: KeepPlace) -> None:
        keep = place.open()
        assert (list(keep.sessions()), list(keep.retained()), dict(keep.wills())) == ([], [], {})

    async def test_every_session_has_a_number_of_its_own(self, place: KeepPlace) -> None:
        keep = place.open()
        first = keep.opened(APP)
        keep.dropped(first)
        assert len({first, keep.opened(APP), keep.opened(OTHER)}) == 3

    async def test_who_asks_is_told_once_whatever_was_said(self, place: KeepPlace) -> None:
        keep, told = place.open(), []
        keep.durable(lambda: told.append("nothing"))
        no = _everything(keep)
        keep.durable(lambda: told.append("first"))
        keep.owed(no, 1, None)
        keep.durable(lambda: told.append("second"))
        await durable(keep)
        await durable(keep)
        assert told == ["nothing", "first", "second"]

    async def test_a_callback_may_say_more(self, place: KeepPlace) -> None:
        keep, told = place.open(), asyncio.Event()
        no = keep.opened(APP)

        def then() -> None:
            keep.filter(no, "a", Subscribed(0))
            keep.durable(told.set)

        keep.durable(then)
        async with asyncio.timeout(_WITHIN_S):
            await told.wait()

    async def test_running_time_never_goes_back(self, place: KeepPlace) -> None:
        keep = place.open()
        first = keep.running()
        assert keep.running() >= first >= 0


class LastingKeepContract(KeepContract):
    """And the tests of one that lasts."""

    async def test_what_was_durable_is_there_after_a_kill_and_is_given_once(self, place: KeepPlace) -> None:
        keep = place.open()
        no = _everything(keep)
        again = await _again(place, keep)
        wanted = KeptSession(
            no, APP, 12.5, {"users/+/canonical/#": Subscribed(1, True, 0x28, 5)}, {1: _ONE, 2: _TWO}, [9], 3600.0
        )
        assert list(again.sessions()) == [wanted]
        assert list(again.retained()) == [Retained("a/b", b"on", 1, about=b"\x01\x00", expires=50.25)]
        assert dict(again.wills()) == {3: _WILL}
        assert (list(again.sessions()), list(again.retained()), dict(again.wills())) == ([], [], {})

    async def test_a_clean_end_keeps_what_was_said_last(self, place: KeepPlace) -> None:
        no = _everything(place.open())
        place.end(clean=True)
        again = place.open()
        assert [kept.no for kept in again.sessions()] == [no]
        assert [message.topic for message in again.retained()] == ["a/b"]
        assert list(again.wills()) == [3]

    async def test_the_newest_word_counts(self, place: KeepPlace) -> None:
        keep = place.open()
        no = _everything(keep)
        await durable(keep)
        keep.filter(no, "users/+/canonical/#", Subscribed(0))
        keep.owed(no, 2, _TWO._replace(packet_id=4, completing=True))
        keep.owed(no, 2, _TWO._replace(packet_id=5, completing=True))
        keep.retain("a/b", Retained("a/b", b"off", 0))
        keep.will(3, _WILL._replace(payload=b"later", lives_s=None))
        keep.changed(no, APP, None)
        again = await _again(place, keep)
        (kept,) = again.sessions()
        assert (kept.filters, kept.left, kept.expiry) == ({"users/+/canonical/#": Subscribed(0)}, None, None)
        assert kept.owed == {1: _ONE, 2: _TWO._replace(packet_id=5, completing=True)}
        assert list(again.retained()) == [Retained("a/b", b"off", 0)]
        assert dict(again.wills()) == {3: _WILL._replace(payload=b"later", lives_s=None)}

    async def test_what_is_gone_does_not_come_back(self, place: KeepPlace) -> None:
        """Whether it was written before or not."""
        keep = place.open()
        no, dropped = _everything(keep), keep.opened(OTHER)
        await durable(keep)
        keep.filter(no, "users/+/canonical/#", None)
        keep.owed(no, 1, None)
        keep.unreleased(no, 9, waits=False)
        keep.retain("a/b", None)
        keep.will(3, None)
        keep.dropped(dropped)
        keep.owed(no, 3, _ONE)
        keep.owed(no, 3, None)
        again = await _again(place, keep)
        (kept,) = again.sessions()
        assert (kept.no, kept.filters, kept.owed, list(kept.unreleased)) == (no, {}, {2: _TWO}, [])
        assert (list(again.retained()), dict(again.wills())) == ([], {})

    async def test_what_is_owed_keeps_its_order(self, place: KeepPlace) -> None:
        keep = place.open()
        no = keep.opened(APP)
        for number in (1, 2, 3):
            keep.owed(no, number, _ONE._replace(payload=b"%d" % number))
        await durable(keep)
        keep.owed(no, 1, _ONE._replace(payload=b"1", packet_id=3))
        keep.owed(no, 2, None)
        keep.owed(no, 4, _ONE._replace(payload=b"4"))
        (kept,) = (await _again(place, keep)).sessions()
        assert [message.payload for _, message in sorted(kept.owed.items())] == [b"1", b"3", b"4"]

    async def test_the_next_session_of_a_client_has_nothing_of_the_one_before(self, place: KeepPlace) -> None:
        keep = place.open()
        keep.dropped(_everything(keep))
        no = keep.opened(APP)
        keep.filter(no, "b", Subscribed(0))
        (kept,) = (await _again(place, keep)).sessions()
        assert kept == KeptSession(no, APP, None, {"b": Subscribed(0)}, {}, [])

    async def test_no_number_of_a_session_that_is_kept_comes_again(self, place: KeepPlace) -> None:
        keep = place.open()
        kept = {keep.opened(APP), keep.opened(OTHER)}
        again = await _again(place, keep)
        assert again.opened(APP) not in kept

    async def test_running_time_goes_on_in_the_next_run(self, place: KeepPlace) -> None:
        keep = place.open()
        before = keep.running()
        keep.opened(APP)
        assert (await _again(place, keep)).running() >= before
