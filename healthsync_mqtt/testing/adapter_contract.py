"""What every adapter promises (docs/adapter-spec.md), as tests that any of them runs through.

Subclass ``AdapterContract`` in a test module and give it an ``adapter`` fixture, and a ``samples`` fixture: answers of
the provider by their kind, each with the number of events that it comes to when it is the first of its link.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from random import Random
from typing import Any, Final

import msgspec
import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.adapters.capability import Availability
from healthsync_mqtt.adapters.cloud import Asked, Cloud, CloudFault, document_of
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.web import CloudAnswer, check_url
from healthsync_mqtt.formats.port import MOST_STATE, AppMessage, Folded, folded
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import RefusedError

NOW_US: Final = 1_800_000_000_000_000
_ROOMY: Final = Limits(max_payload=2**26, max_events=100_000)
_WINDOWS: Final = (Asked(1_794_000_000, 1_794_086_400), Asked(1_794_000_000, 1_794_086_400, "page", 3))
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


class AdapterContract:
    """The tests."""

    @pytest.fixture
    def samples(self) -> Samples:
        """Answers by kind, and how many events they come to."""
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


def _damaged(content: bytes) -> Iterator[bytes]:
    chance = Random(1)  # noqa: S311  # a test's
    for _ in range(20):
        yield content[: chance.randrange(len(content))]
        at = chance.randrange(len(content))
        yield content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]
