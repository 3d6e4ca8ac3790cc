"""``healthsync import`` on a running service: what is stored, what a second time is, and what a kill costs."""

import json
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.testing.apple_export import AppleExport
from tests.support import child
from tests.support.archives import own_events, own_lines
from tests.support.fit_files import BEGIN, day_of_steps, file_id, fit_file, record, session
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import HEALTHSYNC, Service

KILLS = 20
RATE = 2000
"""Events a second of an import that is to be killed: no machine is through with it before."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("imports") / "data") as running:
        for user in ("alice", "bob", "carol", "dave", "erin", "gina", "hugo"):
            running.cli("user", "add", user, "--consent", "all")
        yield running


def start(service: Service, *words: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"HEALTHSYNC_DATA": str(service.data)}
    return child.start(
        [*HEALTHSYNC, "import", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(service: Service, *words: str) -> tuple[int, dict[str, Any], str]:
    """The exit code, the summary, and what was said beside it."""
    with start(service, *words, "--json") as process:
        out, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, json.loads(out) if out.strip() else {}, said


def stored(service: Service, user: str) -> list[dict[str, Any]]:
    kept = ("id", "type", "start_time", "end_time", "value", "version", "op", "utc_offset")
    events = service.cli("events", "list", "--user", user, "--history")
    return sorted(({key: each.get(key) for key in kept} for each in events), key=lambda each: each["id"])


def told_alike(service: Service, user: str, *, ids: bool) -> Counter[str]:
    """What is stored of a user; without the ids where a format makes them, which have the user in them."""
    return Counter(json.dumps(each if ids else {**each, "id": None}) for each in stored(service, user))


def head(service: Service) -> int:
    """How many events the log took."""
    with open_reader(service.data) as log:
        return log.head()


def test_our_own_lines_are_stored_once_whatever_is_wrong_between_them(service: Service, tmp_path: Path) -> None:
    events = own_events(1500)
    events[7]["value"] = {"bpm": 900}
    events[9]["op"], events[9]["value"] = "delete", None
    lines = [json.dumps(each) for each in events]
    lines[3:3] = ["no JSON", '{"type": "steps"}', ""]
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(lines))
    code, told, _ = run(service, str(file), "--user", "alice", "--device", "phone")
    assert code == 1  # one was rejected
    assert {key: told[key] for key in ("events", "stored", "duplicate", "rejected", "left_out", "types", "years")} == {
        "events": 1500, "stored": 1499, "duplicate": 0, "rejected": 1,
        "left_out": {"malformed": 1, "bad_id": 1}, "types": {"heart_rate": 1500}, "years": {"2024": 1500},
    }  # fmt: skip
    assert told["rejected_examples"]["out_of_range"][0]["place"] == "events.jsonl:11"
    assert {each["place"] for each in told["left_out_examples"]["malformed"]} == {"events.jsonl:4"}
    code, told, _ = run(service, str(file), "--user", "alice", "--device", "phone")
    assert (code, told["stored"], told["duplicate"], told["rejected"]) == (1, 0, 1499, 1)
    found = stored(service, "alice")
    assert len(found) == 1499
    assert [each["id"] for each in found if each["op"] == "delete"] == ["own-9"]


def test_what_is_only_looked_at_is_not_published(service: Service, tmp_path: Path) -> None:
    file = own_lines(tmp_path / "events.jsonl", 40)
    code, told, _ = run(service, str(file), "--user", "bob", "--device", "phone", "--dry-run")
    assert (code, told["events"], told["stored"]) == (0, 40, 0)
    with start(service, str(file), "--user", "bob", "--print") as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert [json.loads(line)["id"] for line in out.splitlines()] == [f"own-{number}" for number in range(40)]
    assert stored(service, "bob") == []


def test_a_file_that_is_nothing_here_is_refused_and_the_others_are_imported(service: Service, tmp_path: Path) -> None:
    nothing = tmp_path / "cats.txt"
    nothing.write_text("cats")
    file = own_lines(tmp_path / "events.jsonl", 30)
    code, told, said = run(service, str(nothing), str(tmp_path / "none"), str(file), "--user", "bob")
    assert (code, told["stored"], len(told["failed"])) == (1, 30, 2)
    assert "cats.txt is nothing that can be imported" in said


def test_an_apple_export_and_days_of_a_watch_are_stored_and_known_again(service: Service, tmp_path: Path) -> None:
    export = AppleExport(3, traps=True).write_zip(tmp_path / "export.zip")
    code, told, _ = run(service, str(export), "--user", "erin", "--device", "iphone")
    assert (code, told["rejected"], told["stored"]) == (0, 0, told["events"])
    assert told["types"]["heart_rate"] == 180
    code, told, _ = run(service, str(export), "--user", "erin", "--device", "iphone")
    assert (code, told["stored"], told["duplicate"]) == (0, 0, told["events"])
    for name, readings in (("b.fit", ((9, 900), (12, 2000))), ("a.fit", ((2, 100), (6, 500))), ("b.fit", ())):
        if readings:
            (tmp_path / name).write_bytes(day_of_steps(*readings))
        code, told, _ = run(service, str(tmp_path / name), "--user", "erin", "--device", "watch")
        assert (code, told["left_out"]) == (0, {})
    steps = service.cli("events", "list", "--user", "erin", "--device", "watch")
    assert sum(each["value"]["steps"] for each in steps) == 2000
    code, _, said = run(service, str(tmp_path / "a.fit"), "--user", "nobody")
    assert (code, "nobody" in said) == (1, True)


def left_of_marks(folder: Path) -> list[Path]:
    """All but what kinds remember of a device, which other tests of this service leave and which is to stay."""
    return [each for each in folder.iterdir() if not each.name.startswith("device-")]


class Archive(NamedTuple):
    """What is imported by one command, and its steps: how often that is killed, who has it whole and who in pieces."""

    make: Callable[[Path], list[Path]]
    steps: int
    kills: int
    stride: int
    whole: str
    pieces: str


def lines(place: Path) -> list[Path]:
    """12,000 events in one file."""
    return [own_lines(place / "events.jsonl", 12_000)]


def watch_folders(place: Path) -> list[Path]:
    """Days of a watch up to noon; and their afternoons, which only who remembers the mornings can tell, with runs."""
    found = [place / "morning", place / "afternoon"]
    for folder, quarters in zip(found, (range(1, 48), range(48, 93)), strict=True):
        folder.mkdir()
        for day in range(DAYS):
            begin = (BEGIN // 86_400 + day) * 86_400
            readings = [(quarter / 4, 7 * quarter * (day + 1)) for quarter in quarters]
            (folder / f"day-{day}.fit").write_bytes(day_of_steps(*readings, begin=begin))
    for day in range(DAYS):
        begin = BEGIN + day * 86_400
        run = [record(begin + second, bpm=100 + second % 60, meters=second * 2.5) for second in range(120)]
        (found[1] / f"run-{day}.fit").write_bytes(
            fit_file(*run, session(begin, begin + 120, meters=297.5), first=file_id(created=begin))
        )
    return found


DAYS = 12
ARCHIVES = (
    pytest.param(Archive(lines, 0, KILLS, 400, "carol", "dave"), id="lines"),
    pytest.param(
        Archive(watch_folders, 7 * 92 * sum(range(1, DAYS + 1)), 8, 300, "gina", "hugo"), id="a folder of a watch"
    ),
)


@pytest.mark.parametrize("archive", ARCHIVES)
def test_killed_at_any_moment_and_resumed_it_ends_as_one_that_ran_through(
    service: Service, tmp_path: Path, archive: Archive
) -> None:
    """The same command again and again, killed when it has said some more; at last it runs through."""
    files = [str(each) for each in archive.make(tmp_path)]
    chance = random.Random(14)
    code, through, _ = run(service, *files, "--user", archive.whole, "--device", "phone")
    assert (code, through["rejected"], through["left_out"]) == (0, 0, {})
    assert through["stored"] + through["duplicate"] == through["events"]
    marks = service.data / "imports"
    assert left_of_marks(marks) == []
    pieces = ("--user", archive.pieces, "--device", "phone")
    resumed = killed = 0
    for _ in range(archive.kills):
        until = head(service) + chance.randrange(archive.stride)
        with start(service, *files, *pieces, "--rate", str(RATE)) as process:

            def moved(process: "subprocess.Popen[str]" = process, until: int = until) -> bool:
                return process.poll() is not None or head(service) >= until

            wait_until(moved, "the import to go on")
            killed += process.poll() is None
            process.send_signal(signal.SIGKILL)
        resumed += any(marks.glob("mark-*.json"))
    assert resumed
    assert killed > archive.kills * 3 / 4, "they were at work when they were killed"
    code, told, _ = run(service, *files, *pieces)
    assert (code, told["rejected"]) == (0, 0)
    # Who remembers an afternoon, and reads the morning again, tells the quarter between the two a second time.
    assert told["events"] == through["events"] or (archive.steps and told["events"] > through["events"])
    assert told["stored"] + told["duplicate"] == told["events"]
    whole, found = (told_alike(service, user, ids=not archive.steps) for user in (archive.whole, archive.pieces))
    assert found == whole
    assert sum(whole.values()) == through["stored"] > 3_000
    walked = [each["value"]["steps"] for each in stored(service, archive.pieces) if each["type"] == "steps"]
    assert sum(walked) == archive.steps
    assert left_of_marks(marks) == []


def test_ctrl_c_says_that_the_same_command_goes_on_and_it_does(service: Service, tmp_path: Path) -> None:
    service.cli("user", "add", "fred", "--consent", "all")
    file = own_lines(tmp_path / "long.jsonl", 2000)  # 100 s of work: no machine is through with it at the signal
    words, before = (str(file), "--user", "fred", "--device", "phone"), head(service)
    with start(service, *words, "--rate", "20", "--json") as process:
        wait_until(lambda: head(service) > before + 20)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    assert "the same command goes on from here" in said
    assert out == ""
    assert before + 20 < head(service) < before + 2000
    code, told, _ = run(service, *words)
    assert (code, told["events"], told["stored"] + told["duplicate"]) == (0, 2000, 2000)
    assert len(stored(service, "fred")) == 2000
