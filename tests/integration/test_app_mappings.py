"""A device that no format knows: its mapping is found by the commands, and by the service on its own root."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_apps import publish, stored
from tests.support.service import Service, run_cli

CUFF = """\
summary: the blood pressure cuff of the living room
roots: [cuff]
rules:
  - type: blood_pressure
    topic: readings/{slot}
    each: data[*]
    time: {path: ts, format: epoch_ms}
    value:
      systolic: {path: sys, unit: mmHg}
      diastolic: {path: dia, unit: mmHg}
"""
MESSAGE = {"data": [{"ts": 1_777_000_000_000, "sys": 121, "dia": 79}, {"ts": 1_777_000_060_000, "sys": 118}]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    (data / "formats").mkdir()
    (data / "formats/cuff.yaml").write_text(CUFF)
    return data


@pytest.fixture
def service(data: Path) -> Iterator[Service]:
    with Service(data) as started:
        yield started


@pytest.mark.real_server
def test_a_mapping_of_the_installation_is_a_format_like_another(service: Service, tmp_path: Path) -> None:
    (app,) = service.cli("app", "add", "alice", "cuff", "--format", "cuff", "--slot", "2")
    assert app["topics"] == ["users/alice/devices/cuff/formats/cuff", "cuff/#"]
    message = json.dumps(MESSAGE).encode()
    (tmp_path / "message.json").write_bytes(message)
    made, refused = service.cli(
        *("format", "try", "cuff", str(tmp_path / "message.json"), "--topic", "readings/2", "--slot", "2")
    )
    assert made["value"] == {"systolic": 121, "diastolic": 79}
    assert (refused["reason"], refused["index"]) == ("missing_field", 1)
    assert stored(service) == {}
    assert publish(service, app, "cuff/readings/2", message, "-q", "1").returncode == 0
    assert publish(service, app, f"{app['topics'][0]}/readings/2", message, "-q", "1").returncode == 0
    (found,) = stored(service).values()
    assert (found["value"], found["device_id"]) == ({"systolic": 121, "diastolic": 79}, "cuff")
    assert {row["reason"] for row in service.cli("rejected", "list", "--user", "alice")} == {"missing_field"}
    assert publish(service, app, "cuff/readings/1", message, "-q", "1").returncode == 0
    assert len(stored(service)) == 1, "another's slot"


def test_commands_know_it_and_say_where_one_is_wrong(data: Path) -> None:
    shown = {row["name"]: row for row in run_cli(data, "format", "list")}
    assert shown["cuff"]["summary"] == "the blood pressure cuff of the living room"
    assert "health_auto_export" in shown
    (one,) = run_cli(data, "format", "show", "cuff")
    assert one["roots"] == ["cuff"]
    (data / "formats/cuff.yaml").write_text("rules: [{type: blod_pressure}]\n")
    with pytest.raises(AssertionError, match=r"cuff\.yaml|cuff"):
        run_cli(data, "app", "add", "alice", "cuff", "--format", "cuff")
    assert run_cli(data, "app", "list") == []
