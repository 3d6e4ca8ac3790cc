"""A sink into files writes them anew without the lines of who is erased, whatever is in its way, and goes on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.sinks.config import FileConfig
from healthsync_mqtt.sinks.file.lines import LineFiles
from healthsync_mqtt.sinks.file.sink import FileSink
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import Next, Rows
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item


class Folder:
    """A sink of small files, and a log that it writes down."""

    def __init__(self, path: Path) -> None:
        self.path = path / "out"
        self.log = MemoryEventLog()
        self.ledger = SinkLedger.open(path / "main.db")
        self.sink = self.opened()
        self._after = 0

    def opened(self) -> FileSink:
        return FileSink(FileConfig(name="main", path=self.path, file_bytes=1_000), epoch="e1", ledger=self.ledger)

    def ship(self, *names: tuple[str, str]) -> None:
        self.log.stage([item(event_id, user) for event_id, user in names], [], NOW_US)
        head = self.log.commit()
        records = self.log.reader().read(self._after, 99)
        self._after = head
        shipment = self.sink.begin(Rows(records, {}, head))
        assert self.sink.step(shipment).next is Next.DONE

    def ids(self) -> list[str]:
        files = sorted(self.path.glob("*.ndjson"))
        return [json.loads(line)["id"] for file in files for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    made.sink.close()
    made.ledger.close()


def test_every_file_is_without_the_person_and_others_keep_their_order(folder: Folder) -> None:
    for number in range(6):
        folder.ship((f"a{number}", "alice"), (f"b{number}", "bob"), (f"c{number}", "alice2"))
    assert len(list(folder.path.glob("*.ndjson"))) > 2, "not the last file alone"
    folder.ledger.ask_erasure("alice")
    assert folder.sink.mend(NOW_US).next is Next.GO_ON
    others = [f"{who}{number}" for number in range(6) for who in "bc"]
    assert folder.ids() == others
    assert not any(b'"alice"' in each.read_bytes() for each in folder.path.iterdir())
    assert folder.ledger.erasing() == {}
    assert folder.sink.mend(NOW_US).next is Next.DONE
    folder.ship(("b9", "bob"))
    folder.sink.close()
    folder.sink = folder.opened()  # the place beside the files knows how long the last one is
    folder.ship(("b10", "bob"))
    assert folder.ids() == [*others, "b9", "b10"]


def test_what_was_left_by_one_that_was_killed_goes_with_the_next_who_is_erased(folder: Folder) -> None:
    for number in range(3):
        folder.ship((f"a{number}", "alice"), (f"b{number}", "bob"), (f"c{number}", "carol"))
    first = folder.path / "events-000001.ndjson"
    days = folder.path / "days-000001.ndjson"
    for each in (first, days):  # bob's lines were being taken out of it
        each.with_name(f".{each.name}.0a1b2c3d").write_bytes(first.read_bytes())
    folder.ledger.ask_erasure("alice")
    assert folder.sink.mend(NOW_US).next is Next.GO_ON
    assert not any(b'"alice"' in each.read_bytes() for each in folder.path.iterdir())


def test_what_is_in_its_way_is_told_and_it_is_tried_again(folder: Folder) -> None:
    folder.ship(("a", "alice"), ("b", "bob"))
    folder.sink.disconnect()
    place = folder.path / "place.json"
    was = place.read_bytes()
    place.write_bytes(b"{")
    folder.ledger.ask_erasure("alice")
    assert folder.sink.mend(NOW_US).next is Next.GO_ON
    assert str(folder.path) in folder.ledger.erasing()["alice"]
    assert folder.sink.mend(NOW_US + 1).next is Next.DONE, "later"
    place.write_bytes(was)
    assert folder.sink.mend(NOW_US + 3_600_000_000).next is Next.GO_ON
    assert (folder.ids(), folder.ledger.erasing()) == (["b"], {})


def test_who_is_in_no_file_is_confirmed(folder: Folder) -> None:
    folder.ledger.ask_erasure("alice")
    assert folder.sink.mend(NOW_US).next is Next.GO_ON
    assert folder.ledger.erasing() == {}


class KilledError(BaseException):
    """No code of the sink hears of it."""


@pytest.mark.parametrize("before", [0, 6], ids=["in the first file", "in the next file"])
def test_lines_whose_place_was_not_written_go_with_the_person(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """It was killed between the two, and whoever comes next has nothing to ship before the person is erased."""
    for number in range(before):
        folder.ship((f"b{number}", "bob"))

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(LineFiles, "_keep", killed)
        with pytest.raises(KilledError):
            folder.ship(*((f"a{number}", "alice") for number in range(6)))
    assert any(b'"alice"' in each.read_bytes() for each in folder.path.iterdir())
    folder.sink.close()
    folder.sink = folder.opened()
    folder.ledger.ask_erasure("alice")
    assert folder.sink.mend(NOW_US).next is Next.GO_ON
    assert folder.ledger.erasing() == {}
    assert not any(b'"alice"' in each.read_bytes() for each in folder.path.iterdir())
    folder.ship(("b9", "bob"))
    assert folder.ids() == [*(f"b{number}" for number in range(before)), "b9"]
