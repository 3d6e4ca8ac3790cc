"""What every adapter promises (docs/adapter-spec.md), as tests that any of them runs through.

Subclass ``AdapterContract`` in a test module and give it an ``adapter`` fixture, and a ``samples`` fixture: answers of
the provider by their kind, each with the number of events that it comes to when it is the first of its link. With a
``nights`` fixture it is tried on the night in which clocks are set back: answers by their kind, each with when its
events begin, in UTC.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from email.utils import formatdate
from random import Random
from typing import Any, Final

import msgspec
import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.adapters.capability import Availability
from healthsync_mqtt.adapters.cloud import Asked, Cloud, CloudFault, Tokens, document_of, tokens_of
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.web import CloudAnswer, check_url
from healthsync_mqtt.formats.port import MOST_STATE, AppMessage, Folded, folded
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import RefusedError

NOW_US: Final = 1_800_000_000_000_000
_ROOMY: Final = Limits(max_payload=2**26, max_events=100_000)
_WINDOWS: Final = (
    Asked(1_794_000_000, 1_794_086_400),
    Asked(1_794_000_000, 1_794_086_400, "page", 3),
    Asked(0, 1),
    Asked(1_794_000_000, 4_102_444_799),
)
"""Also those of a clock that was never set, and of one that is far ahead."""
_DAY_S: Final = 86_400
_ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia")
_ENDS: Final[tuple[Any, ...]] = (0, -3_600, 30, 3_599, 2**60, "3599", None, 1.5, True, [])
_NONSENSE: Final[tuple[Any, ...]] = (
    None,
    {},
    [],
    0,
    "x",
    {"next_token": 3},
    {"body": []},
    [None],
    {"body": {"more": 1}},
)
_WITHOUT_DATA: Final = (
    (CloudAnswer(status=401), CloudFault.unauthorised),
    (CloudAnswer(status=429), CloudFault.rate_limited),
    (CloudAnswer(status=429, headers={"retry-after": "17"}), CloudFault.rate_limited),
    (CloudAnswer(status=500, body=b"<html>"), CloudFault.retry),
    (CloudAnswer(status=503), CloudFault.retry),
    (CloudAnswer(status=0, fault="timeout"), CloudFault.retry),
    (CloudAnswer(status=302), CloudFault.retry),
    (CloudAnswer(status=200, body=b"<html>a portal</html>"), CloudFault.retry),
    (CloudAnswer(status=200, body=b'{"data": ['), CloudFault.retry),
    (CloudAnswer(status=200), CloudFault.retry),
    (CloudAnswer(status=400), None),
    (CloudAnswer(status=403), None),
    (CloudAnswer(status=404), None),
    (CloudAnswer(status=410), None),
)
"""Answers that have no data, and what they mean; None: what it means is the provider's own, but it is not data."""

Samples = Mapping[tuple[str, bytes], int]
Nights = Mapping[tuple[str, bytes], Sequence[str]]


class AdapterContract:
    """The tests."""

    @pytest.fixture
    def samples(self) -> Samples:
        """Answers by kind, and how many events they come to."""
        return {}

    @pytest.fixture
    def nights(self) -> Nights:
        """Answers of the night in which clocks are set back, by kind, and when their events begin."""
        return {}

    def test_it_says_what_it_is(self, adapter: Adapter) -> None:
        capability = adapter.capability
        assert capability.title
        assert (capability.state is Availability.ended) == bool(capability.reason)
        assert all(budget.requests > 0 and budget.seconds > 0 for budget in capability.budgets)
        assert all(type_ in CATALOGUE or " " in type_ or "," in type_ for type_ in adapter.types)
        if capability.state is Availability.ended:
            assert (adapter.mapping, adapter.cloud, bool(capability.hint)) == (None, None, True)

    def test_every_event_of_a_sample_is_taken_under_an_id_of_its_own(self, adapter: Adapter, samples: Samples) -> None:
        origin = Origin("ann", None, adapter.name, f"users/ann/adapters/{adapter.name}/events")
        for (kind, content), number in samples.items():
            events = mapped(adapter, kind, content).events
            assert len({event["id"] for event in events}) == len(events) == number
            found = decode(msgspec.json.encode(events), origin, NOW_US, _ROOMY)
            assert (found.rejections, len(found.events)) == ([], number)

    def test_the_same_answer_is_the_same_events_whenever_it_is_read(self, adapter: Adapter, samples: Samples) -> None:
        for kind, content in samples:
            first = mapped(adapter, kind, content)
            assert first == mapped(adapter, kind, content)
            again = mapped(adapter, kind, content, first.state, at_us=NOW_US + 10**12)
            assert {each["id"] for each in again.events} <= {each["id"] for each in first.events}
            assert len(again.state) <= MOST_STATE

    def test_an_hour_that_comes_twice_is_two_hours_whatever_zone_this_machine_is_in(
        self, adapter: Adapter, nights: Nights
    ) -> None:
        for zone in _ZONES:
            with _machine_in(zone):
                for (kind, content), starts in nights.items():
                    events = mapped(adapter, kind, content).events
                    assert sorted({event["start_time"] for event in events}) == sorted(starts), zone

    def test_what_is_cut_or_damaged_is_read_or_refused_and_never_raises(
        self, adapter: Adapter, samples: Samples
    ) -> None:
        for kind, content in samples:
            for damaged in _damaged(content):
                with suppress(RefusedError):
                    mapped(adapter, kind, damaged)

    def test_what_is_no_answer_is_refused_whole(self, adapter: Adapter) -> None:
        if adapter.mapping is None:
            return
        for kind in adapter.mapping.kind_names:
            assert adapter.mapping.knows(kind)
            for content in (b"", b"<html></html>", b'{"data": ['):
                with pytest.raises(RefusedError):
                    mapped(adapter, kind, content)

    def test_an_answer_without_data_is_never_an_empty_one(self, adapter: Adapter) -> None:
        for cloud in _clouds(adapter):
            for answer, meant in _WITHOUT_DATA:
                failed = cloud.judge(answer, document_of(answer) if answer.body else None)
                assert failed is not None, answer
                assert meant is None or failed.fault is meant, answer
                assert failed.wait_s >= 0

    def test_a_time_until_which_to_wait_is_one_of_the_providers_clock(self, adapter: Adapter) -> None:
        for cloud in _clouds(adapter):
            waits: set[tuple[int, float]] = set()
            for now in (1_750_000_000, 1_750_000_000 + 99 * _DAY_S, 1_750_000_000 + 2_000 * _DAY_S):
                for until in (now + 120, now - 7_200, now + 10**9):
                    said = {"retry-after": formatdate(until, usegmt=True), "date": formatdate(now, usegmt=True)}
                    failed = cloud.judge(CloudAnswer(status=429, headers=said, body=b"{}"), {})
                    assert failed is not None
                    assert failed.fault is CloudFault.rate_limited
                    waits.add((until - now, failed.wait_s))
            assert all(0 <= wait_s <= _DAY_S for _, wait_s in waits)
            assert len(waits) == 3, "whatever ours shows"

    def test_new_tokens_are_good_for_a_while_whatever_is_said_of_their_end(self, adapter: Adapter) -> None:
        """An end that lies in the past would be renewed with each question; whoever is right says it with a 401."""
        for cloud in _clouds(adapter):
            for ends in _ENDS:
                pair: Any = {"access_token": "a", "refresh_token": "r", "expires_in": ends}
                document = {"status": 0, cloud.tokens.inside: pair} if cloud.tokens.inside else pair
                found = tokens_of(cloud, CloudAnswer(status=200, body=msgspec.json.encode(document)), NOW_US)
                assert isinstance(found, Tokens)
                assert NOW_US < found.expires_us < 2**63

    def test_its_questions_are_whole_and_its_pages_end(self, adapter: Adapter) -> None:
        for cloud in _clouds(adapter):
            for url in (cloud.base_url, cloud.auth_url, cloud.token_url):
                assert check_url(url) == url
            kinds = [endpoint.kind for endpoint in cloud.endpoints]
            assert len(set(kinds)) == len(kinds)
            for endpoint in cloud.endpoints:
                assert adapter.mapping is not None
                assert adapter.mapping.knows(endpoint.kind)
                for asked in _WINDOWS:
                    request = cloud.request(endpoint, asked, "token")
                    assert request.url.startswith(f"{cloud.base_url}/")
                    assert request == cloud.request(endpoint, asked, "token")
                    for document in _NONSENSE:
                        assert isinstance(endpoint.following(document, asked), str)


def mapped(adapter: Adapter, kind: str, content: bytes, state: bytes = b"", *, at_us: int = NOW_US) -> Folded:
    """What an answer comes to for ann. RefusedError."""
    assert adapter.mapping is not None
    return folded(adapter.mapping, AppMessage(content, "ann", topic=kind, at_us=at_us), state)


def _clouds(adapter: Adapter) -> Iterator[Cloud]:
    if adapter.cloud is not None:
        yield adapter.cloud


@contextmanager
def _machine_in(zone: str) -> Iterator[None]:
    """The machine's own zone is this one."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def _damaged(content: bytes) -> Iterator[bytes]:
    chance = Random(1)  # noqa: S311  # a test's
    for _ in range(20):
        yield content[: chance.randrange(len(content))]
        at = chance.randrange(len(content))
        yield content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]
