"""What waits in the inbox about who is erased goes, and what it says of others stays."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.adapters.cloud import Tokens
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.cloud_links.flights import Flights
from healthsync_mqtt.cloud_links.former_links import PartingBook
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from healthsync_mqtt.cloud_links.inbox_erasure import without

NOW_US = 1_795_000_000_000_000


def left(document: Any, account: str) -> Any:
    found = without(json.dumps(document).encode(), account)
    return None if found is None else json.loads(found)


@pytest.mark.parametrize(
    ("document", "account", "expected"),
    [
        ({"dailies": [{"userId": "a", "steps": 1}, {"userId": "b"}], "epochs": [{"userId": "a"}]}, "a",
         {"dailies": [{"userId": "b"}], "epochs": []}),
        ({"dailies": [{"userId": "a"}], "epochs": [{"userId": "a"}]}, "a", None),
        ({"dailies": [{"userId": "ab", "steps": 17}]}, "a", {"dailies": [{"userId": "ab", "steps": 17}]}),
        ({"user_id": 10129, "type": "sleep.updated"}, "10129", None),
        ({"user_id": 101290}, "10129", {"user_id": 101290}),
        ([{"data": {"id": "h7"}}, {"data": {"id": "h8"}}], "h7", [{"data": {"id": "h8"}}]),
        ({"event": "SLEEP", "url": "https://www.polaraccesslink.com/v3/users/6123/sleep"}, "6123", None),
        ({"6123": {"steps": 4}}, "6123", None),
    ],
)  # fmt: skip
def test_of_several_the_others_stay(document: Any, account: str, expected: Any) -> None:
    assert left(document, account) == expected


def test_a_form_is_of_one_user() -> None:
    assert without(b"userid=123&appli=1", "123") is None
    assert without(b"userid=1234&appli=1", "123") == b"userid=1234&appli=1"


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["7", "77", "x7", "/7/", "b"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["u", "7", "v", "w"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(values)
def test_nothing_names_the_account_then_and_once_is_enough(document: Any) -> None:
    body = json.dumps(document).encode()
    found = without(body, "7")
    if found is not None:
        assert without(found, "7") == found


@given(st.binary(max_size=64))
def test_any_bytes(body: bytes) -> None:
    found = without(body, "7")
    assert found is None or b"7" not in body or without(found, "7") == found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with LinkBook.open(tmp_path) as book, NoticeInbox.open(tmp_path) as inbox:
        for user, account in (("ann", "g-ann"), ("bob", "g-bob")):
            book.agree(user, "garmin", Tokens("a", "r", NOW_US, account=account), "all", NOW_US)
        both = {"dailies": [{"userId": "g-ann", "steps": 71}, {"userId": "g-bob", "steps": 72}]}
        for body in (both, {"dailies": [{"userId": "g-ann", "steps": 73}]}):
            inbox.put("garmin", json.dumps(body).encode(), NOW_US)
        inbox.put("oura", b'{"user_id": "g-ann"}', NOW_US)
    return tmp_path


def bodies(data: Path, provider: str) -> list[Any]:
    with NoticeInbox.open(data) as inbox:
        return [json.loads(inbox.begin(each)) for each in inbox.due(NOW_US, 9) if each.provider == provider]


def test_who_is_erased_has_nothing_in_the_inbox_and_others_lose_nothing(data: Path) -> None:
    with PartingBook.open(data) as book, closing(Flights(data)) as flights:
        book.erase("ann", flights, erasure="e1")
    assert bodies(data, "garmin") == [{"dailies": [{"userId": "g-bob", "steps": 72}]}]
    assert len(bodies(data, "oura")) == 1, "another provider's"


def test_what_is_left_of_several_is_there_once(data: Path) -> None:
    with NoticeInbox.open(data) as inbox:
        inbox.put("garmin", b'{"dailies":[{"userId":"g-bob","steps":72}]}', NOW_US)
        inbox.withdraw("garmin", "g-ann")
        assert inbox.waiting()["garmin"] == 1


def test_who_was_linked_to_the_same_account_keeps_hearing(data: Path) -> None:
    with LinkBook.open(data) as links:
        links.agree("eve", "garmin", Tokens("a", "r", NOW_US, account="g-ann"), "all", NOW_US)
    with PartingBook.open(data) as book, closing(Flights(data)) as flights:
        book.erase("ann", flights, erasure="e1")
    assert len(bodies(data, "garmin")) == 2


def test_a_link_that_is_forgotten_takes_its_deliveries_along(data: Path) -> None:
    with LinkBook.open(data) as links, PartingBook.open(data) as book:
        link = links.of("ann", "garmin")
        book.end("ann")
        book.forget(link.id)
    assert bodies(data, "garmin") == [{"dailies": [{"userId": "g-bob", "steps": 72}]}]
