"""What a person sees of the reading of a file: a bar with rate and time left on a terminal, lines elsewhere."""

from pathlib import Path

import pytest

from healthsync_mqtt.cli.reading_progress import ReadingProgress
from tests.support.terminal import Clock, DrawnTerminal

SIZE = 8_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "export.xml"
    path.write_bytes(bytes(SIZE))
    return path


def read_on(watch: ReadingProgress, clock: Clock, *, seconds: int, bytes_a_second: int) -> None:
    """So many seconds of reading, with 1024 events in each and as many things that are none, in eight steps."""
    for _ in range(seconds * 8):
        clock.now += 0.125
        watch.moved(bytes_a_second // 8)
        for number in range(256):
            watch.seen(event=number % 2 == 0)


def test_on_a_terminal_it_is_a_bar_with_its_rate_and_the_time_left(
    file: Path, clock: Clock, terminal: DrawnTerminal
) -> None:
    with ReadingProgress(file) as watch:
        bar = watch._bar
        assert bar is not None
        read_on(watch, clock, seconds=4, bytes_a_second=1_000_000)
        half = terminal.drawn()
        assert "export.xml" in half
        assert "1.0 MB/s" in half
        assert "4,096 events, 1,024/s" in half
        assert "0:00:04" in half, "half of it is read, in four seconds"
        (task,) = bar.tasks
        assert (task.completed, task.total, task.percentage) == (SIZE / 2, SIZE, 50)
        read_on(watch, clock, seconds=2, bytes_a_second=1_000_000)
        later = terminal.drawn()
        assert "6,144 events, 1,024/s" in later
        assert "0:00:02" in later


def test_a_bar_is_taken_away_at_the_end_and_the_sum_is_said(
    file: Path, clock: Clock, terminal: DrawnTerminal, capsys: pytest.CaptureFixture[str]
) -> None:
    with ReadingProgress(file) as watch:
        read_on(watch, clock, seconds=8, bytes_a_second=1_000_000)
    assert terminal.shown().endswith("\x1b[2K")  # the line is cleared
    told = capsys.readouterr()
    assert told.err == "export.xml: 8192 events read in 8.0 s\n"
    assert told.out == ""


def test_more_bytes_than_the_file_has_are_not_more_than_all(file: Path, clock: Clock, terminal: DrawnTerminal) -> None:
    """A zip in it is read unpacked, say."""
    with ReadingProgress(file) as watch:
        read_on(watch, clock, seconds=3, bytes_a_second=SIZE)
        assert watch._bar is not None
        (task,) = watch._bar.tasks
        assert (task.completed, task.time_remaining) == (SIZE, 0)
    assert "-" not in terminal.shown().split("events")[-1]


def test_without_a_terminal_it_is_a_line_every_ten_seconds(
    file: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ReadingProgress(file) as watch:
        read_on(watch, clock, seconds=9, bytes_a_second=400_000)
        assert capsys.readouterr().err == ""
        read_on(watch, clock, seconds=1, bytes_a_second=400_000)
        (line,) = capsys.readouterr().err.splitlines()
        assert line == "export.xml: 50 %, 10240 events, 1024/s, 10 s left"
        read_on(watch, clock, seconds=9, bytes_a_second=0)
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "export.xml: 19456 events read in 19.0 s\n"


def test_of_what_has_no_length_it_says_no_time_that_it_cannot_know(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    with ReadingProgress(tmp_path / "empty") as watch:
        read_on(watch, clock, seconds=10, bytes_a_second=10)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("empty: 0 %, 10240 events")


def test_a_reading_that_fails_says_no_sum(file: Path, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        with ReadingProgress(file) as watch:
            read_on(watch, clock, seconds=1, bytes_a_second=1)
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert capsys.readouterr().err == ""
