"""What is declared with an app's login is checked when it is said: one that could never matter is a mistake."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from healthsync_mqtt.cli.advice import MESSAGES, addressed
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.formats.reading.amount import declarable_units
from healthsync_mqtt.formats.xiaomi_scale import weight_of
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.times import iso
from tests.unit.cli.conftest import Run

WRONG = [
    ("--unit", "furlong", "no number here is ever in 'furlong'"),
    ("--unit", "MMOL/L", "no number here is ever in"),
    ("--unit", "", "no number here is ever in"),
    ("--bucket", "0m", "no length of a bucket"),
    ("--bucket", "32d", "no length of a bucket"),
    ("--bucket", "fortnight", "not a duration"),
    ("--slot", "", "a slot has no name"),
    ("--slot", "1,,2", "a slot has no name"),
    ("--zone", "Mars/Base", "no zone"),
]


@pytest.fixture
def alice(lines: Callable[..., list]) -> None:
    lines("user", "add", "alice", "--consent", "all")


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(("option", "word", "why"), WRONG)
@pytest.mark.parametrize("command", ["app add alice phone --format openscale", "format try json README.md"])
def test_what_could_never_matter_is_refused(run: Run, command: str, option: str, word: str, why: str) -> None:
    result = run(*command.split(), option, word)
    assert result.exit_code == 2, result.output
    assert why in result.stderr
    assert "no app" in run("app", "show", "alice", "phone").stderr


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    ("option", "word"),
    [("--unit", "jin"), ("--unit", "mmol/L"), ("--bucket", "15m"), ("--bucket", "31d"), ("--slot", "2,ann")],
)
def test_what_matters_is_kept(lines: Callable[..., list], option: str, word: str) -> None:
    lines("app", "add", "alice", "phone", "--format", "openscale", option, word)
    (shown,) = lines("app", "show", "alice", "phone")
    assert [each for each in shown["declared"].values() if each is not None] == [
        {"15m": 900, "31d": 31 * 86_400}.get(word, word)
    ]


def test_every_unit_that_may_be_declared_is_one_of_some_number() -> None:
    for unit in declarable_units():
        assert weight_of({"weight": 71}, "unit", unit) if unit in {"jin", "kg"} else _is_of_some_number(unit)


def _is_of_some_number(unit: str) -> bool:
    return any(unit in quantity.taken for of in CATALOGUE.values() for quantity in of.quantities)


@pytest.mark.usefixtures("alice")
def test_a_name_that_is_taken_says_how_its_noun_goes_on(run: Run, lines: Callable[..., list]) -> None:
    lines("app", "add", "alice", "phone", "--format", "openscale")
    lines("device", "add", "alice", "watch")
    assert "app rotate alice phone" in run("app", "add", "alice", "phone", "--format", "openscale").stderr
    assert "device token alice watch" in run("app", "add", "alice", "watch", "--format", "openscale").stderr


@pytest.mark.usefixtures("alice")
def test_a_format_that_the_running_service_does_not_know_yet_is_told(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = "summary: x\nrules: [{type: weight, time: {format: arrival}, value: {kg: {path: w, unit: kg}}}]\n"
    (data / "formats").mkdir()
    (data / "formats" / "fridge.yaml").write_text(mapping)
    new = "does not know the format fridge yet"
    add = ("app", "add", "alice", "--format", "fridge", "--format", "openscale")
    assert new not in run(*add, "before").stderr  # nothing runs
    for started_s, told in ((time.time() - 60, True), (time.time() + 60, False)):
        here = ServiceFile(
            pid=os.getpid(), mqtt="127.0.0.1:1", mqtts="127.0.0.1:2", wss="127.0.0.1:3", ca_file="", socket="",
            started_at=iso(round(started_s * 1_000_000)), version="",
        )  # fmt: skip
        monkeypatch.setattr(ServiceFile, "read", lambda _, here=here: here)
        assert (new in run(*add, f"phone-{told}").stderr) is told


@pytest.mark.usefixtures("alice")
def test_what_is_printed_once_is_shown_again_but_for_the_password(run: Run) -> None:
    printed = run("app", "add", "alice", "phone", "--format", "openscale").stdout.splitlines()
    shown = {line.partition(" ")[0]: line.split() for line in run("app", "show", "alice", "phone").stdout.splitlines()}
    asked_for = [line.split() for line in printed if not line.startswith(("password", "topic"))]
    assert [shown[words[0]] for words in asked_for] == asked_for


def test_a_format_and_what_becomes_of_a_message_are_printed_as_they_are_written(run: Run, tmp_path: Path) -> None:
    weighing = {"weight": 71.5, "weight_unit": "kg", "timestamp": "2026-05-03T07:41:22+02:00"}
    (tmp_path / "one.json").write_text(json.dumps(weighing))
    assert '{"kg":71.5}' in run("format", "try", "xiaomi_scale", str(tmp_path / "one.json")).stdout
    assert "miscale, scale, tele" in run("format", "show", "xiaomi_scale").stdout


def test_a_message_that_is_too_long_for_an_app_is_under_its_own_limit() -> None:
    fix = MESSAGES["packet_too_large"].fix
    app = {"user_id": "alice", "device_id": "phone", "client_id": "alice-phone", "formats": ["openscale"]}
    assert "limits.app_message" in addressed(fix, app)
    assert "--longest" in addressed(fix, app)
    device = {"user_id": "alice", "device_id": "watch", "client_id": "alice-watch"}
    assert "limits.max_packet" in addressed(fix, device)
