"""What a stranger sent is shown, and no character of it reaches the terminal as one that the terminal obeys."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from healthsync_mqtt.cli.live_view import Sight
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.testing.log_items import NOW_US, rejected

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202e\u2028\u200e\ufeff\U000e0041\x00\x7f"


@pytest.fixture
def hostile(data: Path) -> str:
    data.mkdir(mode=0o700)
    sent = f'{{"id":"{HOSTILE}"}}'
    with SqliteEventLog.open(data / "events.db") as log:
        row = rejected(raw=sent.encode())
        worded = row.rejection._replace(id=f"a{HOSTILE}", field=f"value.{HOSTILE}", message=f"no {HOSTILE}")
        log.stage([], [row._replace(rejection=worded), rejected(raw=b"\xff\x1b[2J")], NOW_US)
        log.commit()
    return sent


@pytest.mark.parametrize("words", [("rejected", "show", "1"), ("rejected", "show", "2"), ("rejected", "list")])
@pytest.mark.parametrize("as_json", [False, True])
def test_no_character_that_a_terminal_obeys_is_printed(
    run: Callable[..., Any], hostile: str, words: tuple[str, ...], as_json: bool
) -> None:
    result = run(*words, *(["--json"] if as_json else []))
    assert result.exit_code == 0
    assert result.stdout
    assert not set(result.stdout) & (set(HOSTILE) - set(map(chr, range(0x20, 0x7F))))
    if as_json and words[1:] == ("show", "1"):
        assert json.loads(result.stdout)["raw"] == hostile, "nothing of it is lost"


def test_the_live_view_shows_old_events_without_their_control_characters() -> None:
    body = json.dumps({"value": {"note": HOSTILE}}, ensure_ascii=False).encode()
    record = Record(1, "alice", "watch", None, "a", "heart_rate", NOW_US, None, NOW_US, 0, 0, body, 1)
    counters = {"stored": 1, "duplicate": 0, "rejected": 0}
    shown = io.StringIO()
    Console(file=shown, width=300).print(Sight(counters=counters, rate=1.0, own=(record,)).screen({}, ()))
    assert "heart_rate" in shown.getvalue()
    assert not set(shown.getvalue()) & (set(HOSTILE) - set(map(chr, range(0x20, 0x7F))))
