"""Pages of changes: each row once and in order, whatever the pages' size; a token is good for one question only."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.sync_token import SyncToken, SyncTokenError
from healthsync_mqtt.storage import changes as module
from healthsync_mqtt.storage.changes import ChangesAsked, ChangesPage, changes
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item

ALICE = ChangesAsked(user="alice", grant="all", token=None, limit=3, most_bytes=1_000_000)


class PlainSeal:
    """Hides nothing, and knows its question."""

    def sealed(self, seq: int, about: str) -> bytes:
        return seq.to_bytes(8, "big") + about.encode()[:8].ljust(8)

    def opened(self, sealed: bytes, about: str) -> int | None:
        return int.from_bytes(sealed[:8], "big") if sealed[8:] == about.encode()[:8].ljust(8) else None


EVERYBODY = replace(ALICE, user=None, seal=PlainSeal())


def everything(_: Record) -> bool:
    return True


def log_of(users: Sequence[str]) -> MemoryEventLog:
    log = MemoryEventLog()
    log.stage([item(f"{user}-{number}", user) for number, user in enumerate(users)], [], 1)
    log.commit()
    return log


def ids(page: ChangesPage) -> list[str]:
    return [json.loads(each)["id"] for each in page.events]


def all_of(log: MemoryEventLog, asked: ChangesAsked, shown: Callable[[Record], bool] = everything) -> list[ChangesPage]:
    pages = [changes(log.reader(), asked, shown)]
    while pages[-1].more:
        pages.append(changes(log.reader(), replace(asked, token=pages[-1].token), shown))
        assert len(pages[-1].events) <= asked.limit
        assert len(pages) < 100
    return pages


@given(st.lists(st.sampled_from(["alice", "bob"]), max_size=40), st.integers(1, 9))
def test_pages_of_any_size_are_all_rows_once_in_order(users: list[str], limit: int) -> None:
    log = log_of(users)
    names = [f"{user}-{number}" for number, user in enumerate(users)]
    assert [name for page in all_of(log, replace(EVERYBODY, limit=limit)) for name in ids(page)] == names
    found = [name for page in all_of(log, replace(ALICE, limit=limit)) for name in ids(page)]
    assert found == [name for name in names if name.startswith("alice")]


@given(st.lists(st.sampled_from(["alice", "bob", "carol"]), max_size=30), st.sets(st.integers(0, 30)))
def test_pages_and_tokens_of_a_user_are_the_same_whoever_else_there_is(users: list[str], hidden: set[int]) -> None:
    def shown(record: Record) -> bool:
        return record.position not in hidden

    mixed, alone = log_of(users), MemoryEventLog()
    alone.stage([item(f"alice-{n}") for n, user in enumerate(users) if user == "alice"], [], 1)
    alone.commit()

    def told(log: MemoryEventLog) -> list[tuple[list[str], bool]]:
        return [(ids(page), page.more) for page in all_of(log, ALICE, shown)]

    assert told(mixed) == told(alone)
    last = [SyncToken.read(all_of(log, ALICE)[-1].token, epoch=log.epoch, user="alice", grant="all").place
            for log in (mixed, alone)]  # fmt: skip
    assert last[0] == last[1]


def test_a_newer_version_and_a_tombstone_come_behind_the_token() -> None:
    log = log_of(["alice"])
    first = changes(log.reader(), ALICE, everything)
    log.stage([item("alice-0", version=1), item("alice-0", version=2, op=1)], [], 2)
    log.commit()
    second = changes(log.reader(), replace(ALICE, token=first.token), everything)
    assert [(json.loads(each)["version"], json.loads(each)["op"]) for each in second.events] == [
        (1, "upsert"), (2, "delete"),
    ]  # fmt: skip
    assert not second.more


def test_a_page_is_bounded_in_bytes_and_holds_one_event_at_least() -> None:
    log = log_of(["alice"] * 3)
    pages = all_of(log, replace(ALICE, most_bytes=1))
    assert [ids(page) for page in pages] == [["alice-0"], ["alice-1"], ["alice-2"]]


def test_what_is_not_shown_and_what_is_purged_end_a_page_and_not_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 5)
    monkeypatch.setattr(module, "_LOOK", 2)
    monkeypatch.setattr(module, "_LOOKS", 2)
    log = log_of(["alice"] * 30)
    log.purge("heart_rate", NOW_US + 1, range(1, 20))
    log.commit()
    pages = all_of(log, ALICE, lambda record: record.seq == 29)
    assert [name for page in pages for name in ids(page)] == ["alice-28"]
    assert len(pages) > 2, "each looked at a bounded number of rows"
    assert len({page.token for page in pages}) == len(pages), "each came further"
    assert [name for page in all_of(log, replace(EVERYBODY, limit=100)) for name in ids(page)] == [
        f"alice-{n}" for n in range(19, 30)
    ]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (replace(ALICE, user="bob"), "token_foreign"),
        (EVERYBODY, "token_foreign"),
        (replace(ALICE, grant="less"), "token_expired"),
    ],
)
def test_a_token_is_good_for_one_question(asked: ChangesAsked, reason: str) -> None:
    log = log_of(["alice"] * 5)
    token = changes(log.reader(), ALICE, everything).token
    with pytest.raises(SyncTokenError) as refused:
        changes(log.reader(), replace(asked, token=token), everything)
    assert refused.value.reason == reason
    assert refused.value.hint


def test_a_token_of_another_log_has_expired() -> None:
    token = changes(log_of(["alice"]).reader(), ALICE, everything).token
    with pytest.raises(SyncTokenError, match="restored") as refused:
        changes(log_of(["alice"]).reader(), replace(ALICE, token=token), everything)
    assert refused.value.reason == "token_expired"


def test_a_place_that_was_not_sealed_here_is_no_token() -> None:
    log = log_of(["alice"] * 5)
    for user, made_up in ((None, bytes(8)), (None, bytes(15) + b"x"), ("alice", bytes(16))):
        token = SyncToken(log.epoch, user, "all", made_up).text()
        with pytest.raises(SyncTokenError, match="no token of ours"):
            changes(log.reader(), replace(EVERYBODY, user=user, token=token), everything)


@given(st.one_of(st.text(max_size=130), st.from_regex(r"[A-Za-z0-9_-]{60}", fullmatch=True)))
def test_a_made_up_text_is_no_token(text: str) -> None:
    log = log_of(["alice"])
    with pytest.raises(SyncTokenError) as refused:
        changes(log.reader(), replace(ALICE, token=text), everything)
    assert refused.value.reason == "bad_token"
