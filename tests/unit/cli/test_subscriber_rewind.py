"""``subscriber rewind`` without a service: the place is in the log, for when the subscriber comes back."""

import json
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.testing.log_items import item
from tests.support.commands import invoke


def run(data: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    done = invoke([*words, "--data", str(data), "--json"])
    return done.exit_code, json.loads(done.stdout or "{}"), done.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    run(place, "user", "add", "alice", "--consent", "all")
    assert run(place, "subscriber", "add", "board", "--users", "alice")[0] == 0
    with open_log(place) as log:
        for name, received_s in (("a", 1_700_000_000), ("b", 1_800_000_000)):
            log.stage([item(name)], [], received_s * 1_000_000)
            log.commit()
        log.set_cursor("subscriber:board", 2)
        log.commit()
    return place


@pytest.mark.parametrize(
    ("to", "following"),
    [("start", 1), ("earliest", 1), ("now", 3), ("2", 2), ("999", 3), ("0", 1), ("2023-12-01", 2), ("2100-01-01", 3)],
)
def test_the_place_is_set_and_recorded(data: Path, to: str, following: int) -> None:
    code, said, _ = run(data, "subscriber", "rewind", "board", "--to", to)
    assert (code, said) == (0, {"name": "board", "next_seq": following, "connected": False, "fed": False})
    with open_reader(data) as log:
        assert log.cursor("subscriber:board") == following - 1
    rows = invoke(["audit", "list", "--data", str(data), "--json"]).stdout.splitlines()
    last = json.loads(rows[-1])
    assert last["action"] == "subscriber.rewound"
    assert (last["detail"]["to"], last["detail"]["seq"]) == (to, following)


def test_who_is_not_there_and_what_is_no_place_are_said(data: Path) -> None:
    code, _, said = run(data, "subscriber", "rewind", "nobody", "--to", "start")
    assert (code, "nobody" in said) == (1, True)
    code, _, said = run(data, "subscriber", "rewind", "board", "--to", "tomorrow")
    assert (code, "tomorrow" in said) == (2, True)
