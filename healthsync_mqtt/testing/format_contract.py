"""What every payload format promises (``formats.port.Format``), as tests that any of them runs through.

Subclass ``FormatContract`` in a test module and give it a ``form`` fixture, the format, and a ``samples`` fixture: some
messages of it, each with the number of events that it comes to when it is the first of its device. Where the format
refuses part of a message, a ``refusals`` fixture has such messages with the places that are refused. What it is told
beside the payload (its topic, what the login declares, what it remembers) is a ``told`` fixture. A format whose times
must have an offset whatever the login declares says so by a ``zoned`` fixture that is False.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from random import Random

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import (
    MOST_STATE,
    NOTHING_TOLD,
    AppMessage,
    Event,
    Format,
    Made,
    RefusedRecord,
    Told,
    folded,
)
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason, RefusedError

NOW_US = 1_795_430_000_000_000
"""When messages of the contract arrive."""

_WITH_OFFSET = re.compile(
    rb"(\d{4}-\d\d-\d\d[T ]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[AaPp][Mm])?) ?(?:Z|[+-]\d\d:?\d\d)"
)

_ROOMY = Limits(max_events=100_000, max_payload=16_777_216)


def decoded(form: Format, content: bytes, limits: Limits = _ROOMY, told: Told = NOTHING_TOLD) -> Decoded:
    """What the bridge makes of a delivery in this format from alice's device."""
    origin = Origin("alice", "watch", None, "users/alice/devices/watch/events")
    return decode(content, origin, NOW_US, limits, form=form, told=told)


def message(content: bytes, told: Told = NOTHING_TOLD) -> AppMessage:
    """The message that this content is when it comes from alice's device."""
    return AppMessage(content, "alice", "watch", told.topic, told.retained, NOW_US, told.declared)


class FormatContract:
    """The tests."""

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        """Messages that are taken in part, and the places of what is refused."""
        return {}

    @pytest.fixture
    def told(self) -> Told:
        """What the format is told beside the payload."""
        return NOTHING_TOLD

    @pytest.fixture
    def zoned(self) -> bool:
        """Whether a time without an offset is read in the zone that the login declares."""
        return True

    def test_it_is_in_the_catalogue_under_its_name(self, form: Format) -> None:
        assert FORMATS[form.name] is form
        assert form.summary

    def test_every_event_of_a_sample_is_accepted(self, form: Format, samples: Mapping[bytes, int], told: Told) -> None:
        for content, number in samples.items():
            found = decoded(form, content, told=told)
            assert (found.rejections, len(found.events)) == ([], number)
            assert len({event.id for event in found.events}) == number

    def test_read_twice_it_is_the_same_for_the_same_user(
        self, form: Format, samples: Mapping[bytes, int], told: Told
    ) -> None:
        for content in samples:
            assert folded(form, message(content, told), told.state) == folded(form, message(content, told), told.state)

    def test_a_repeat_makes_no_other_events(self, form: Format, samples: Mapping[bytes, int], told: Told) -> None:
        """Sent again, and remembered or not, a message comes to ids that were there."""
        for content in samples:
            first = folded(form, message(content, told), told.state)
            again = folded(form, message(content, told)._replace(at_us=NOW_US + 1_000_000), first.state)
            assert {each["id"] for each in again.events} <= {each["id"] for each in first.events}

    def test_a_time_without_an_offset_is_in_the_declared_zone(
        self, form: Format, samples: Mapping[bytes, int], told: Told, *, zoned: bool
    ) -> None:
        """And without both it is refused: in UTC, a message whose times say so is the one whose times say nothing."""
        utc = told._replace(declared=told.declared._replace(zone="UTC"))
        for content in samples:
            bare = message(_WITH_OFFSET.sub(rb"\1", content), utc)
            said = folded(form, message(_WITH_OFFSET.sub(rb"\1Z", content), utc), told.state)
            if zoned:
                found = folded(form, bare, told.state)
                assert [_but_its_clock(each) for each in found.events] == [_but_its_clock(each) for each in said.events]
            elif bare.payload != content:
                assert decoded(form, bare.payload, told=utc).events == []

    def test_what_it_remembers_is_bounded(self, form: Format, samples: Mapping[bytes, int], told: Told) -> None:
        state = told.state
        for _ in range(3):
            for content in samples:
                state = folded(form, message(content, told), state).state
                assert isinstance(state, bytes)
                assert len(state) <= MOST_STATE

    def test_what_is_refused_names_its_place_and_the_rest_is_taken(
        self, form: Format, refusals: Mapping[bytes, list[str]], told: Told
    ) -> None:
        for content, places in refusals.items():
            found = folded(form, message(content, told), told.state)
            assert [each.place for each in found.refused] == places
            assert all(each.text for each in found.refused)
            rejected = decoded(form, content, told=told).rejections
            assert [(each.index, each.field) for each in rejected] == [
                (each.index, each.place) for each in found.refused
            ]

    def test_what_is_damaged_is_refused_or_read_and_never_raises(
        self, form: Format, samples: Mapping[bytes, int], told: Told
    ) -> None:
        """Also by the format itself: RefusedError is all that it raises."""
        for damaged in _damaged(samples):
            outcomes: object = None
            with suppress(RefusedError):
                outcomes = folded(form, message(damaged, told), told.state).outcomes
            found = decoded(form, damaged, told=told)
            assert found.total == len(found.events) + len(found.rejections)
            assert found.total > 0 or outcomes == []

    def test_what_is_no_message_at_all_is_refused(self, form: Format) -> None:
        for nothing in (b"", b"\0"):
            with pytest.raises(RefusedError):
                folded(form, message(nothing))

    def test_limits_hold_for_what_comes_out(self, form: Format, samples: Mapping[bytes, int], told: Told) -> None:
        for content, number in samples.items():
            tight = Limits(max_made=number - 1, max_events=number - 1)
            found = decoded(form, content, tight, told)
            assert [each.reason for each in found.rejections] == [Reason.TOO_MANY]
            assert found.rejections[0].raw == content

    def test_places_count_from_the_beginning(self, form: Format, samples: Mapping[bytes, int], told: Told) -> None:
        for content in samples:
            outcomes = folded(form, message(content, told), told.state).outcomes
            found = [each.index for each in outcomes if isinstance(each, Made | RefusedRecord)]
            assert found == sorted(found)
            assert not found or found[0] >= 0


def _but_its_clock(event: Event) -> Event:
    return {field: value for field, value in event.items() if field != "utc_offset"}


def _damaged(samples: Mapping[bytes, int]) -> Iterator[bytes]:
    chance = Random(1)  # noqa: S311  # a test's
    for content in samples:
        for _ in range(20):
            yield content[: chance.randrange(len(content))]
        for _ in range(20):
            at = chance.randrange(len(content))
            yield content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]
