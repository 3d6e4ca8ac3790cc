"""Tables on a narrow terminal: what is to be copied out of one, an id or a time, is in one piece."""

import pytest

from healthsync_mqtt.cli import output

COLUMNS = ("USER", "DEVICE", "CLIENT ID", "ONLINE", "LAST SEEN", "LAST STORED", "VERSION", "SUSPENDED", "REFUSED")
ROWS = [
    ("demo", "simulator", "demo-simulator", "yes", "2026-11-26T18:12:30Z", "2026-11-26T18:12:30Z", "5", "", "0"),
    ("alice", "watch", "alice-watch", "no", "2026-11-26T18:12:31Z", "", "3.1.1", "2026-11-26T18:12:30Z", "2"),
]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")


def test_what_is_too_wide_for_a_line_is_a_value_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines if "simulator" in line] == [
        ["DEVICE", "simulator"],
        ["CLIENT", "ID", "demo-simulator"],
    ]
    assert sum("2026-11-26T18:12:30Z" in line for line in lines) == 3
    assert "" in [line.strip() for line in lines]


def test_what_is_true_is_a_word_of_its_column_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was `False` at the end of a line, and no heading above it."""
    rows = [("copies", True), ("archive", False)]
    output.table(("SINK", "SUSPENDED"), rows)
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["SUSPENDED", "yes", "no"]
    monkeypatch.setattr(output, "on_terminal", lambda: False)
    output.table(("SINK", "SUSPENDED"), rows)
    assert capsys.readouterr().out.splitlines() == ["copies\tsuspended", "archive\tnot suspended"]


def test_what_fits_is_a_row_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS[:3], [row[:3] for row in ROWS])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["USER", "DEVICE", "CLIENT", "ID"],
        ["demo", "simulator", "demo-simulator"],
        ["alice", "watch", "alice-watch"],
    ]


def test_one_long_value_is_folded_and_the_others_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("AT", "WHAT"), [("2026-11-26T18:12:30Z", "x" * 200)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[0] == "2026-11-26T18:12:30Z"
    assert "".join(line.split()[-1] for line in lines[1:]) == "x" * 200


def test_a_time_is_in_one_piece_where_a_row_is_a_little_too_wide(capsys: pytest.CaptureFixture[str]) -> None:
    """Two blanks are between columns: at one a row seemed to fit, and its time was broken in two."""
    columns = ("NAME", "USERS", "TYPES", "ONLINE", "LAST SEEN", "ADDRESS", "REFUSED", "SUSPENDED")
    output.table(columns, [("demo-app", "ralice", "*", "no", "2026-11-27T09:06:33Z", "127.0.0.1", "1", "")])
    assert "2026-11-27T09:06:33Z" in capsys.readouterr().out
