"""An adapters.db of before: what was found in it is found, then sealed, and killed on the way there."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.cloud_links.former_links import PartingBook
from healthsync_mqtt.formats.port import Gone
from healthsync_mqtt.keys.faults import TamperedError
from healthsync_mqtt.keys.opening import ring_made_if_missing, ring_of
from healthsync_mqtt.sql_files import migrate, numbered

WORDS = (
    b"acct-7",
    b"ev-1",
    b"ev-2",
    b"night-9",
    b"/v2/night-9",
    b"etag-5",
    b"run-3",
    b"word-of-a-link",
    b"remembered-4",
)
LAST_OPEN = 7
"""The schema in which they were as they are."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "adapters.db"
    path.touch(mode=0o600)
    ring = ring_made_if_missing(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as older:
        older.execute("PRAGMA journal_mode=WAL")
        steps = [step for step in numbered("healthsync_mqtt.cloud_links", "sql") if step[0] <= LAST_OPEN]
        migrate(older, steps, lambda _theirs, _ours: AssertionError(), "adapters.db")
        for link, user in ((1, "ann"), (2, "bob")):
            older.execute(
                "INSERT INTO links (id, user, provider, account, state, linked_us, memory)"
                " VALUES (?, ?, 'oura', ?, 'ok', 1, ?)",
                (link, user, "acct-7" if user == "ann" else "", b"remembered-4"),
            )
            body = ring.seal(user, b"a file", b"adapters:shelf:oura")
            older.execute("INSERT INTO shelved VALUES (?, 'run-3', ?)", (link, body))
            older.execute("INSERT INTO discovered VALUES (?, '/v2/night-9', 'etag-5')", (link,))
            older.execute("INSERT INTO named VALUES (?, 'ev-1', 'night-9;', 'sleep', '2025-01-01T00:00:00Z')", (link,))
            older.execute("INSERT INTO named VALUES (?, 'ev-2', 'night-99;deep', 'sleep', '')", (link,))
        word = ring.seal("ann", b"verifier", b"adapters:pending:word-of-a-link")
        older.execute("INSERT INTO pending VALUES ('word-of-a-link', 'ann', 'whoop', 'http://x', ?, 5)", (word,))
    return tmp_path


def knows_all(data: Path) -> None:
    with LinkBook.open(data) as book:
        (ann,) = book.of_account("oura", "acct-7")
        assert (ann.user, book.account(ann.id), book.memory(ann.id)) == ("ann", "acct-7", b"remembered-4")
        assert book.unknown_accounts("oura")
        assert book.discovered(ann.id, "/v2/night-9") == "etag-5"
        assert book.shelved(ann, "run-3") == b"a file"
        assert book.found(ann.id, Gone("night-9;")) == [("ev-1", "sleep", "2025-01-01T00:00:00Z")]
        assert book.found(ann.id, Gone("night-99;d")) == [("ev-2", "sleep", "")]
        assert {event for event, *_ in book.found(ann.id, Gone("night"))} == {"ev-1", "ev-2"}
        assert book.found(ann.id, Gone("night-99;l")) == []
        assert [event for event, *_ in book.named_between(ann.id, ["sleep"], 0, 2**60)] == ["ev-1"]
        assert book.named_between(ann.id, ["steps"], 0, 2**60) == []


def read(data: Path) -> list[bytes]:
    """The words that are in the file, or in what is beside it."""
    content = b"".join(path.read_bytes() for path in data.glob("adapters.db*"))
    return [word for word in WORDS if word in content]


def test_an_older_file_is_brought_over_and_sealed_when_the_log_is(data: Path) -> None:
    knows_all(data)
    assert len(read(data)) >= len(WORDS) - 1, "the log is not sealed"
    ring_of(data).seal_files()
    knows_all(data)
    assert read(data) == []
    knows_all(data)
    with LinkBook.open(data) as book:
        assert book.expected("word-of-a-link", 4)[3] == "verifier"


@pytest.mark.parametrize("turn", [1, 5, 9])
def test_killed_while_it_is_sealed_it_is_as_it_was_and_sealed_by_the_next(data: Path, turn: int) -> None:
    ring_of(data).seal_files()
    child = os.fork()
    if not child:
        ring, calls = ring_of(data), 0
        seal = ring.seal

        def dying(*given: bytes) -> bytes:
            nonlocal calls
            calls += 1
            if calls == turn:
                os.kill(os.getpid(), signal.SIGKILL)
            return seal(*given)  # type: ignore[arg-type]

        ring.seal = dying  # type: ignore[method-assign, assignment]
        LinkBook.open(data)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    knows_all(data)
    assert read(data) == []


def test_whose_key_is_renewed_is_found_and_whose_is_destroyed_is_not(data: Path) -> None:
    ring_of(data).seal_files()
    knows_all(data)
    ring_of(data).renew("ann")
    knows_all(data)
    ring_of(data).destroy("ann")
    with LinkBook.open(data) as book:
        ann, bob = book.links()
        assert (book.account(ann.id), book.memory(ann.id), book.found(ann.id, Gone(""))) == ("", b"", [])
        assert len(book.found(bob.id, Gone(""))) == 2


def test_what_changed_places_is_found_out(data: Path) -> None:
    ring_of(data).seal_files()
    knows_all(data)
    with closing(sqlite3.connect(data / "adapters.db")) as raw, raw:
        raw.execute(
            "UPDATE named SET said = (SELECT said FROM named AS it WHERE it.event != named.event AND it.link = 1)"
        )
    with LinkBook.open(data) as book, pytest.raises(TamperedError):
        book.found(1, Gone(""))


def test_nothing_of_who_leaves_is_left(data: Path) -> None:
    ring_of(data).seal_files()
    with PartingBook.open(data) as book:
        book.end("ann")
        book.forget(1)
    with closing(sqlite3.connect(data / "adapters.db")) as raw:
        for table in ("named", "discovered", "shelved"):
            assert raw.execute(f"SELECT DISTINCT link FROM {table}").fetchall() == [(2,)]
