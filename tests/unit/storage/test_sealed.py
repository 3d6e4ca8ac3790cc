"""A sealed log gives back what was written or says that it cannot: never another value, and nothing without the key."""

import secrets
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.opening import ring_made_if_missing
from healthsync_mqtt.model.event import LATEST, Event, Op, Rejection, omitted
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.storage.port import FormatMemory, Item, Quarantined
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from tests.unit.storage.sealed import own_ring, sealed_reader, sealed_writer

USERS = ("alice", "bob")
KINDS = ("heart_rate", "weight", "steps")


def filled(data: Path) -> list[Record]:
    """Rows of two users: corrected, deleted, purged, of several types and devices; and what their readers see."""
    with sealed_writer(data) as log:
        for number in range(30):
            user = USERS[number % 2]
            log.stage(
                [item(f"e{number}", user, event_type=KINDS[number % 3], start_us=NOW_US + number)], [], NOW_US + 1
            )
        log.stage([item("e0", version=1), item("e2", version=1, op=Op.DELETE)], [rejected(), rejected("bob")], NOW_US)
        log.commit()
        log.purge("weight", NOW_US + 1_000, [5, 11])
        log.commit()
    return everything(data)


def everything(data: Path) -> list[Record]:
    """Every row there is, purged ones too."""
    with sealed_reader(data) as reader:
        return [row for seq in range(1, reader.head() + 1) if (row := reader.get(seq)) is not None]


def changing(data: Path) -> closing[apsw.Connection]:
    """The database, for who may write the file and has no key."""
    connection = apsw.Connection(str(data / "events.db"))
    connection.execute("PRAGMA synchronous=OFF").fetchall()
    return closing(connection)


def test_a_sealed_log_is_one_when_it_is_made_and_no_other_becomes_one(tmp_path: Path) -> None:
    for name in ("plain", "sealed"):
        (tmp_path / name).mkdir(mode=0o700)
    with open_log(tmp_path / "plain") as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
    with open_log(tmp_path / "plain", seal_new=True) as log:
        log.stage([item("b")], [], NOW_US)
        log.commit()
    with open_log(tmp_path / "sealed", seal_new=True) as log:
        log.stage([item("c")], [], NOW_US)
        log.commit()
    with open_log(tmp_path / "sealed") as log:
        log.stage([item("d")], [], NOW_US)
        log.commit()
    for name, ids, sealed in (("plain", "ab", None), ("sealed", "cd", 1)):
        with open_reader(tmp_path / name) as reader:
            assert [row.id for row in reader.read(0, 9)] == list(ids)
        with changing(tmp_path / name) as file:
            assert file.execute("SELECT DISTINCT sealed FROM log").fetchall() == [(sealed,)]
    assert not (tmp_path / "plain" / "keys.db").exists()


def test_a_repeat_a_correction_and_a_deletion_are_known_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path)
    with sealed_writer(tmp_path) as log:
        assert log.stage([item("e1", "bob"), item("e4"), item("e5", "bob")], [], NOW_US) == [0, 0, 0]
        assert log.stage([item("e1", "bob", version=1)], [], NOW_US) == [33]
        latest = Event("e3", "heart_rate", NOW_US + 3, None, LATEST, Op.UPSERT, item("e3", "bob").event.body, 0)
        origin = item("e3", "bob").origin
        assert log.stage([Item(origin, latest)], [], NOW_US) == [0]
        assert log.stage([Item(origin, latest._replace(body=b'{"value":{"bpm":99}}'))], [], NOW_US) == [34]
        log.commit()


def test_purged_rows_keep_their_ids_and_nothing_else(tmp_path: Path) -> None:
    rows = {row.seq: row for row in filled(tmp_path)}
    assert [(rows[seq].id, rows[seq].body) for seq in (5, 11)] == [("e4", b""), ("e10", b"")]
    with changing(tmp_path) as file:
        kept = file.execute("SELECT id, length(body) FROM log WHERE seq IN (5, 11)").fetchall()
    assert [(name in ("e4", "e10"), size) for name, size in kept] == [(False, 0), (False, 0)]
    with sealed_reader(tmp_path) as reader:
        found = reader.find("alice", "e4")
        assert found is not None
        assert found.body == b""


TURNED = 1_000
"""Flips that were written and read: what the file's own rules refuse is not counted."""


def test_a_thousand_flipped_bits_are_each_found(tmp_path: Path) -> None:
    """In every column of rows and refusals: an error, never another value and never another user's."""
    rows = filled(tmp_path)
    chance = Random(15)  # the same for everybody
    with sealed_reader(tmp_path) as reader:
        refusals = reader.rejected()
    columns = (
        "id",
        "body",
        "identity",
        "user",
        "device",
        "type",
        "version",
        "op",
        "start_us",
        "received_us",
        "position",
    )
    columns += ("sealed", "provider", "end_us")
    with changing(tmp_path) as file, sealed_reader(tmp_path) as reader:
        judged = turn = 0
        while judged < TURNED:
            turn += 1
            if turn % 10 == 0:
                table, key, number = "quarantine", "no", chance.choice(refusals).no
                column = chance.choice(("raw", "reason", "user", "device", "topic", "received_us", "size", "sealed"))
            else:
                table, key, number = "log", "seq", chance.choice(rows).seq
                column = chance.choice(columns)
            (was,) = file.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (number,)).fetchone()
            changed = flipped(was, chance)
            if changed == was:
                continue
            statement = f"UPDATE {table} SET {column} = ? WHERE {key} = ?"
            try:
                file.execute(statement, (changed, number))
            except apsw.Error:
                continue  # the file's own rules refuse it, as they would when it is read
            judged += 1
            try:
                shown = reader.get(number) if table == "log" else reader.rejected_get(number)
            except StoreError:
                pass
            else:
                pytest.fail(f"{turn}: {table}.{column} {was!r} -> {changed!r} shows {shown}")
            file.execute(statement, (was, number))
        assert turn < 2 * TURNED, "most of them are judged"
    assert everything(tmp_path) == rows


def flipped(value: Any, chance: Random) -> Any:
    """The same with one bit changed; of nothing, a number."""
    match value:
        case None:
            return 1
        case int():
            return value ^ 1 << chance.randrange(62)
        case str():
            content = bytearray(value.encode())
        case _:
            content = bytearray(value)
    if not content:
        return "x" if isinstance(value, str) else b"x"
    bit = chance.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    return content.decode("latin-1") if isinstance(value, str) else bytes(content)


def test_flipped_bits_of_the_file_are_errors_or_change_nothing(tmp_path: Path) -> None:
    """Also in what is not of a row: headers of pages and rows, indexes, free places."""
    rows = {row.seq: row for row in filled(tmp_path)}
    with changing(tmp_path) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path, chance = tmp_path / "events.db", Random(16)  # the same
    whole = path.read_bytes()
    found = 0
    for _ in range(200):
        changed = bytearray(whole)
        bit = chance.randrange(8 * 100, 8 * len(whole))
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            with sealed_reader(tmp_path) as reader:
                for seq in range(1, reader.head() + 1):
                    row = reader.get(seq)
                    # A page may lose a row, or show a stretch of the tree elsewhere: it shows no other row for it.
                    assert row is None or row == rows.get(row.seq), bit
        except StoreError:
            found += 1
    assert found
    path.write_bytes(whole)
    assert everything(tmp_path) == list(rows.values())


SWAPS = {
    "between two users": (1, 2),
    "of one user": (1, 3),
    "a purged one for another": (5, 11),
    "an older version for a newer": (1, 31),
}


@pytest.mark.parametrize("which", SWAPS)
def test_rows_that_change_places_are_found(tmp_path: Path, which: str) -> None:
    """Whole or their sealed bytes alone."""
    filled(tmp_path)
    one, other = SWAPS[which]
    with changing(tmp_path) as file:
        sealed = dict(file.execute("SELECT seq, id || '|' || hex(body) FROM log WHERE seq IN (?, ?)", (one, other)))
        assert sealed[one] != sealed[other]
        pieces = {seq: (text.split("|")[0], bytes.fromhex(text.split("|")[1])) for seq, text in sealed.items()}
        for target, source in ((one, other), (other, one)):
            file.execute("UPDATE log SET id = ?, body = ? WHERE seq = ?", (*pieces[source], target))
    for seq in (one, other):
        with sealed_reader(tmp_path) as reader, pytest.raises(TamperedError):
            reader.get(seq)


def test_a_row_of_another_log_is_found(tmp_path: Path) -> None:
    """Under the same keys, in the same place."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir(mode=0o700)
    ring_made_if_missing(tmp_path)
    for name in ("one", "other"):
        for file in ("keys.db", "keys"):
            (tmp_path / name / file).symlink_to(tmp_path / file) if file == "keys" else (
                tmp_path / name / file
            ).hardlink_to(tmp_path / file)
        with sealed_writer(tmp_path / name) as log:
            log.stage([item("a")], [], NOW_US)
            log.commit()
    with changing(tmp_path / "one") as file:
        (body, identity) = file.execute("SELECT body, identity FROM log").fetchone()
    with changing(tmp_path / "other") as file:
        file.execute("UPDATE log SET body = ?, identity = ?", (body, identity))
    with sealed_reader(tmp_path / "other") as reader, pytest.raises(TamperedError):
        reader.get(1)


def test_a_plain_row_in_a_sealed_log_is_found(tmp_path: Path) -> None:
    """Whoever may write the file could make up rows else."""
    filled(tmp_path)
    with changing(tmp_path) as file:
        file.execute("UPDATE log SET id = 'e0', body = CAST('{}' AS BLOB), sealed = NULL WHERE seq = 1")
    with sealed_reader(tmp_path) as reader, pytest.raises(TamperedError):
        reader.get(1)


def marked(marker: str, number: int, user: str) -> tuple[list[Item], list[Quarantined], list[FormatMemory]]:
    """The marker in one of all the places that tell of a person."""
    origin = Origin(user, f"{user}-watch", None, f"users/{user}/devices/{user}-watch/events")
    event = item(f"e{number}", user).event
    body = b'{"value":{"bpm":60},"source":{"record_id":"%s"}}' % marker.encode()
    refusal = Rejection(0, None, Reason.MALFORMED, None, "not JSON", b"raw%d" % number)
    match number % 9:
        case 0:
            return [Item(origin, event._replace(id=marker))], [], []
        case 1:
            return [Item(origin, event._replace(body=body))], [], []
        case 2:
            return [Item(origin, event._replace(id=marker, op=Op.DELETE, body=b"{}"))], [], []
        case 3:
            return [], [Quarantined(origin, NOW_US, refusal._replace(raw=marker.encode()))], []
        case 4:
            return [], [Quarantined(origin, NOW_US, refusal._replace(id=marker))], []
        case 5:
            return [], [Quarantined(origin, NOW_US, refusal._replace(message=f"bpm {marker} is above 300"))], []
        case 6:
            return [], [Quarantined(origin, NOW_US, refusal._replace(field=f"value.{marker}"))], []
        case 7:
            return [], [], [FormatMemory(user, f"{user}-watch", "fhir", marker.encode(), [("a", "b")])]
        case _:
            return [], [], [FormatMemory(user, f"{user}-watch", "fhir", None, [(marker, f"id-{marker}")])]


def test_without_the_key_nothing_is_found_in_the_files(tmp_path: Path) -> None:
    """A thousand markers in every kind of field, while the log is open and after it."""
    markers = [f"m{secrets.token_hex(10)}" for _ in range(1_000)]
    users = [f"u{number}" for number in range(7)]
    with sealed_writer(tmp_path) as log:
        for number, marker in enumerate(markers):
            items, refused, memories = marked(marker, number, users[number % 7])
            log.stage(items, refused, NOW_US)
            for memory in memories:
                log.remember(memory)
            if number % 50 == 0:
                log.commit()
        log.commit()
        log.purge("heart_rate", NOW_US + 1, range(1, 60))
        log.commit()
        assert found_in(tmp_path, markers) == []
    assert found_in(tmp_path, markers) == []
    with sealed_reader(tmp_path) as reader:
        seen = repr([row.id for row in everything(tmp_path)])
        seen += repr(reader.read(0, 10_000)) + repr(reader.rejected(0, 10_000)) + repr(reader.format_memories())
    # A purged value is gone, and of a format's states of one device the last one is kept.
    gone = {marker for number, marker in enumerate(markers) if number % 9 in (1, 7)}
    assert [marker for marker in markers if marker not in seen and marker not in gone] == []
    assert sum(marker in seen for marker in markers if marker in gone) > 50


def found_in(data: Path, markers: list[str]) -> list[tuple[str, str]]:
    """Which markers lie in which files."""
    files = {path.name: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    return [(name, marker) for name, content in files.items() for marker in markers if marker.encode() in content]


def test_a_digest_of_what_was_refused_tells_nothing_without_the_key(tmp_path: Path) -> None:
    """Few values are refused, so that a digest that anybody can make would be as good as the value."""
    same = rejected()
    for name in ("one", "other"):
        (tmp_path / name).mkdir(mode=0o700)
        with sealed_writer(tmp_path / name) as log:
            log.stage([], [same, same], NOW_US)
            log.stage([], [same], NOW_US)
            log.commit()
    marks = set()
    for name in ("one", "other"):
        with sealed_reader(tmp_path / name) as reader:
            assert [row.times for row in reader.rejected()] == [3]
        with changing(tmp_path / name) as file:
            marks |= set(file.execute("SELECT fingerprint FROM quarantine").fetchall())
    assert len(marks) == 2


def test_a_refusal_of_which_only_the_beginning_is_kept_is_told_so(tmp_path: Path) -> None:
    with sealed_writer(tmp_path) as log:
        log.stage([], [rejected(raw=b"x" * 100_000)], NOW_US)
        gone = rejected(event_id="c")
        whole = omitted(b"y" * 100)
        log.stage([], [gone._replace(rejection=gone.rejection._replace(raw=b"", omitted=whole))], NOW_US)
        log.commit()
    with sealed_reader(tmp_path) as reader:
        long, short = reader.rejected()
    assert (len(long.raw), long.size, long.truncated) == (65_536, 100_000, True)
    assert long.sha256 is not None
    assert (short.raw, short.size, short.sha256) == (b"", 100, whole.sha256)


def test_who_was_erased_is_read_as_purged(tmp_path: Path) -> None:
    """Rows, refusals and memories: nothing is an error, nothing is shown, and pages are as full as before."""
    filled(tmp_path)
    with sealed_writer(tmp_path) as log:
        log.remember(FormatMemory("alice", "alice-watch", "fhir", b"state", [("name", "id")]))
        log.commit()
        with sealed_reader(tmp_path) as reader:
            theirs = [row for row in reader.read(0, 100) if row.user == "bob"]
            assert reader.format_records("alice", "alice-watch", "fhir", "", 9) == [("name", "id")]
            own_ring(tmp_path).destroy("alice")
            assert reader.format_records("alice", "alice-watch", "fhir", "", 9) == []
            assert reader.read(0, 100) == theirs
            assert sum(reader.counts().values()) == len([row for row in theirs if not row.op])
            assert reader.counts(user="alice") == {}
            assert reader.read(0, 5) == theirs[:5]
            assert reader.read(0, 5, newest=True) == theirs[-5:]
            assert reader.read(0, 100, user="alice") == reader.read(0, 3, user="alice", newest=True) == []
            walked, at = [], 0
            while True:
                rows, at, more = reader.stretch(at, 3, look=7)
                walked += rows
                if not more:
                    break
            assert {row.user for row in walked} == {"bob"}
            assert [row.id for row in walked if row.seq in {each.seq for each in theirs}] == [row.id for row in theirs]
            row = reader.get(1)
            assert row is not None
            assert (row.user, row.id, row.body) == ("alice", "", b"")
            assert reader.find("alice", "e0") is None
            refused = {each.user: each for each in reader.rejected()}
            assert (refused["alice"].raw, refused["alice"].message) == (b"", "")
            assert refused["bob"].raw == b'{"id":"bad"}'
            assert reader.format_state("alice", "alice-watch", "fhir") == b""
            assert reader.format_records("alice", "alice-watch", "fhir", "", 9) == []
        # The same id again is a new event of whoever has that name now.
        assert log.stage([item("e0"), item("e0", version=3)], [], NOW_US) == [33, 34]
        log.commit()
        with sealed_reader(tmp_path) as reader:
            assert sum(reader.counts(user="alice", days=False).values()) == 1
        log.purge("heart_rate", NOW_US + 1_000, [1])
        log.commit()
    with sealed_reader(tmp_path) as reader:
        assert [row.id for row in reader.read(0, 9, user="alice")] == ["e0"]
        purged = reader.get(1)
        assert purged is not None
        assert (purged.id, purged.body) == ("", b"")


def test_without_its_keys_a_sealed_log_is_not_opened_and_nothing_is_written(tmp_path: Path) -> None:
    filled(tmp_path)
    with pytest.raises(KeyUnavailableError):
        SqliteEventLog.open(tmp_path / "events.db")
    (tmp_path / "keys.db").rename(tmp_path / "away.db")
    with pytest.raises(UnavailableError, match="no data keys"):
        open_log(tmp_path)
    with open_reader(tmp_path) as reader, pytest.raises(UnavailableError, match="no data keys"):
        reader.get(1)
    assert not (tmp_path / "keys.db").exists()
    with SqliteLogReader.open(tmp_path / "events.db") as reader:
        assert reader.head() == 32
        with pytest.raises(KeyUnavailableError):
            reader.get(1)
    (tmp_path / "away.db").rename(tmp_path / "keys.db")
    assert len(everything(tmp_path)) == 32


def test_while_the_outer_key_is_away_nothing_is_stored_in_the_clear(tmp_path: Path) -> None:
    """Who is unlocked goes on; for the others the commit is refused, to be tried again."""
    with sealed_writer(tmp_path) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        outer = tmp_path / "keys" / "outer.json"
        outer.rename(tmp_path / "away.json")
        log.stage([item("b")], [], NOW_US)
        assert log.commit() == 2
        with pytest.raises(KeyUnavailableError) as caught:
            log.stage([item("c", "carol")], [], NOW_US)
        assert caught.value.retryable
        assert log.commit() == 2
        (tmp_path / "away.json").rename(outer)
        log.stage([item("c", "carol")], [], NOW_US)
        assert log.commit() == 3
    assert [row.id for row in everything(tmp_path)] == ["a", "b", "c"]


def test_a_purge_of_what_nobody_can_open_now_holds_up_nobody(tmp_path: Path) -> None:
    """Every commit failed until the key was back, for a damaged row for ever."""
    rows = [item("a1"), item("a2"), item("b1", "bob"), item("b2", "bob")]
    with sealed_writer(tmp_path) as log:
        log.stage(rows, [], NOW_US)
        log.commit()
    outer, away = tmp_path / "keys" / "outer.json", tmp_path / "away.json"
    with sealed_writer(tmp_path) as log:
        log.stage([item("b3", "bob")], [], NOW_US)
        log.commit()
        assert log._connection.execute("UPDATE log SET body = zeroblob(99) WHERE seq = 4 RETURNING 1").fetchall()
        outer.rename(away)
        log.purge("heart_rate", NOW_US + 1, [1, 3, 4])
        assert log.commit() == 5
        with sealed_reader(tmp_path) as reader:
            assert reader.purgeable("heart_rate", NOW_US + 1, 0, 4, 5) == [1, 2], "the next sweep finds it"
            assert sum(reader.counts(days=False).values()) == 3
        away.rename(outer)
        log.purge("heart_rate", NOW_US + 1, [1])
        assert log.commit() == 5
    with sealed_reader(tmp_path) as reader:
        assert [(row.id, bool(row.body)) for row in reader.every(0, 9)] == [
            ("a1", False), ("a2", True), ("b1", False), ("", False), ("b3", True),
        ]  # fmt: skip
        assert sum(reader.counts(days=False).values()) == 2


def test_what_formats_remember_is_found_by_its_beginning(tmp_path: Path) -> None:
    """As in a plain log: the same questions have the same answers."""
    chance = Random(3)  # the same for everybody
    answers: list[list[Any]] = []
    for seal in (False, True):
        chance.seed(4)
        (tmp_path / str(seal)).mkdir(mode=0o700)
        with sealed_writer(tmp_path / str(seal), seal_new=seal) as log:
            log.stage([item("a")], [], NOW_US)
            for _ in range(40):
                named = [(f"{chance.randrange(9)}/{chance.randrange(30)}", f"i{chance.randrange(9)}") for _ in range(5)]
                back = [(f"{chance.randrange(9)}/{chance.randrange(30)}", f"i{chance.randrange(9)}") for _ in range(3)]
                log.remember(
                    FormatMemory("alice", "watch", chance.choice(["a", "b"]), b"s%d" % len(named), named, back)
                )
            log.commit()
        with sealed_reader(tmp_path / str(seal)) as reader:
            asked = [("", 1_000), ("1/", 1_000), ("1/1", 3), ("3", 7), ("x", 9), ("", 2)]
            answers.append([reader.format_records("alice", "watch", form, *each) for form in "ab" for each in asked])
            answers[-1].append(sorted(reader.format_memories()))
    assert answers[0] == answers[1]
    assert any(answers[0])


def test_a_restored_log_gets_its_epoch_also_before_its_keys_are_back(tmp_path: Path) -> None:
    """They travel apart from the data; nothing is written without them."""
    filled(tmp_path)
    (tmp_path / "keys.db").rename(tmp_path / "away.db")
    told: list[str] = []
    open_log(tmp_path, accept_restored=lambda _, epoch: told.append(epoch)).close()
    with open_reader(tmp_path) as reader:
        assert told == [reader.epoch]
    with pytest.raises(UnavailableError, match="no data keys"):
        open_log(tmp_path)
    assert not (tmp_path / "keys.db").exists()
    (tmp_path / "away.db").rename(tmp_path / "keys.db")
    assert len(everything(tmp_path)) == 32
