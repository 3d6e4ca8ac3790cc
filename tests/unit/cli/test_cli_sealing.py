"""healthsync storage encrypt and healthsync key status, check, rewrap."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.main import needed, program
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE
from healthsync_mqtt.keys import opening
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected

ROWS = 40


@pytest.fixture
def markers(data: Path) -> list[str]:
    """What a plain log holds, with rows that were purged before: their values lie in free places of the file."""
    found = [f"marker{number:04}x" for number in range(ROWS)]
    data.mkdir(mode=0o700)
    with open_log(data) as log:
        for marker in found:
            log.stage([item(marker)], [rejected(event_id=marker, raw=marker.encode())], NOW_US)
        log.commit()
        log.purge("heart_rate", NOW_US + 1, range(1, 20))
        log.purge_rejected(range(1, ROWS + 1), NOW_US + 1)
        log.commit()
        log.stage([], [rejected(event_id=found[0])], NOW_US)
        log.commit()
    return found


def found_in(data: Path, markers: list[str]) -> list[tuple[str, str]]:
    files = {path.name: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    return [(name, marker) for name, content in files.items() for marker in markers if marker.encode() in content]


def test_a_log_is_sealed_and_nothing_of_before_is_left_in_its_file(run, lines, data, markers) -> None:
    assert found_in(data, markers)
    (before,) = lines("storage", "status")
    assert (before["encryption"], before["provider"], before["data_keys"]) == ("none", None, 0)
    (answer,) = lines("storage", "encrypt")
    assert answer == {"encryption": "rows", "plain_rows": 0, "compacted": True}
    assert found_in(data, markers) == []
    (status,) = lines("storage", "status")
    assert (status["encryption"], status["provider"], status["data_keys"], status["users"]) == ("rows", "file", 1, 1)
    with open_reader(data) as reader:
        assert [row.id for row in reader.read(0, 99)] == markers[19:]
        assert [row.event_id for row in reader.rejected()] == [markers[0]]
    assert lines("storage", "encrypt") == [answer]
    assert "sealed" in run("storage", "encrypt").output


def test_without_a_log_there_is_nothing_to_encrypt(run, data) -> None:
    refused = run("storage", "encrypt")
    assert refused.exit_code == 69
    assert "storage.encryption" in refused.output
    assert not (data / "keys.db").exists()


def test_the_outer_key_is_shown_checked_and_made_anew(run, lines, data, markers) -> None:
    assert lines("key", "status") == [{"provider": None, "data_keys": 0, "behind": 0, "ring": None}]
    for command in ("check", "rewrap"):
        assert run("key", command).exit_code == 1
    lines("storage", "encrypt")
    (status,) = lines("key", "status")
    assert (status["provider"], status["data_keys"], status["behind"]) == ("file", 1, 0)
    assert lines("key", "check") == [{"provider": "file", "opened": 1}]
    outer = data / "keys" / "outer.json"
    before = outer.read_bytes()
    assert lines("key", "rewrap") == [{"provider": "file", "rewrapped": 1, "given_up": 0}]
    assert before != outer.read_bytes()
    with open_reader(data) as reader:
        assert len(reader.read(0, 99)) == ROWS - 19
    outer.rename(data / "away")
    assert run("key", "check").exit_code != 0
    assert "outer key" in str(run("doctor").stdout)
    (data / "away").rename(outer)


def test_the_outer_key_goes_under_a_passphrase_and_back(run, lines, data, markers, monkeypatch) -> None:
    lines("storage", "encrypt")
    assert "ON THE SAME DISK" in run("doctor").stdout
    assert run("key", "rewrap", "--provider", "nobody").exit_code == 2
    assert run("key", "rewrap", "--provider", "passphrase").exit_code != 0
    assert lines("key", "check") == [{"provider": "file", "opened": 1}]
    monkeypatch.setenv(KEY_PASSPHRASE, "correct horse")
    assert lines("key", "rewrap", "--provider", "passphrase") == [
        {"provider": "passphrase", "rewrapped": 1, "given_up": 0}
    ]
    assert not (data / "keys" / "outer.json").exists()
    assert "ON THE SAME DISK" not in run("doctor").stdout
    with open_reader(data) as reader:
        assert len(reader.read(0, 99)) == ROWS - 19
    monkeypatch.delenv(KEY_PASSPHRASE)
    opening._rings.clear()  # as another process
    refused = run("events", "list")
    assert refused.exit_code != 0
    assert not any(marker in refused.output for marker in markers)
    monkeypatch.setenv(KEY_PASSPHRASE, "correct horse")
    assert lines("key", "rewrap", "--provider", "file") == [{"provider": "file", "rewrapped": 1, "given_up": 0}]
    monkeypatch.delenv(KEY_PASSPHRASE)
    assert len(lines("events", "list")) == ROWS - 19


def test_an_outer_key_that_is_lost_for_good_is_given_up_with_what_is_under_it(run, lines, data, markers) -> None:
    """Without the word of a person nothing is destroyed: it may be found again."""
    lines("storage", "encrypt")
    outer = data / "keys" / "outer.json"
    assert lines("key", "rewrap", "--give-up-lost", "--yes") == [{"provider": "file", "rewrapped": 1, "given_up": 0}]
    outer.rename(data / "away")
    opening._rings.clear()  # as another process
    found = [json.loads(line) for line in run("doctor", "--json").stdout.splitlines()]
    (keys,) = [each for each in found if each.get("check") == "data keys"]
    assert "healthsync key rewrap --give-up-lost" in keys["fix"]
    assert "healthsync key rewrap --give-up-lost" in run("key", "check").stderr
    for words in (("rewrap",), ("rewrap", "--give-up-lost")):
        assert run("key", *words).exit_code != 0
        assert not outer.exists()
    (data / "away").rename(outer)
    assert lines("key", "check") == [{"provider": "file", "opened": 1}]
    outer.rename(data / "away")
    assert lines("key", "rewrap", "--give-up-lost", "--yes") == [{"provider": "file", "rewrapped": 0, "given_up": 1}]
    (entry,) = [each for each in lines("audit", "list") if each["action"] == "key.given_up"]
    assert entry["detail"] == {"keys": 1, "users": 1}
    assert lines("key", "check") == [{"provider": "file", "opened": 0}]
    with open_reader(data) as reader:
        assert reader.read(0, 99) == []
    assert found_in(data, markers) == []


def test_a_person_who_says_no_gives_nothing_up(run, lines, data, markers, monkeypatch) -> None:
    lines("storage", "encrypt")
    (data / "keys" / "outer.json").rename(data / "away")
    opening._rings.clear()
    monkeypatch.setattr(output, "can_ask", lambda: True)
    words = ["key", "rewrap", "--give-up-lost"]
    refused = CliRunner().invoke(program(needed(words)), words, input="n\n")
    assert refused.exit_code == 1
    assert "1 data keys, of 1 users" in refused.stderr
    (data / "away").rename(data / "keys" / "outer.json")
    assert lines("key", "check") == [{"provider": "file", "opened": 1}]
