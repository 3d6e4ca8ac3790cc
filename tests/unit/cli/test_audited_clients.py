"""Who is traced or thrown out is a pseudonym in the audit log, as everybody is: a name would outlive its owner."""

import json
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.cli import client as clients
from healthsync_mqtt.cli import trace as traces
from tests.unit.cli.conftest import Run


def audited(data: Path) -> bytes:
    return b"".join(path.read_bytes() for path in data.glob("audit.db*"))


@pytest.mark.parametrize("line", ["client kick alice-watch --yes", "trace alice-watch --for 1s"])
def test_a_device_is_a_pseudonym_of_its_user(line: str, data: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(_place: Path, verb: str, **words: Any) -> dict[str, Any]:
        if verb == "trace":
            if words["after"] is not None:
                raise KeyboardInterrupt
            return {"missed": 0, "lines": [], "next": 0}
        return {"clients": [{"client_id": "alice-watch"}, {"client_id": "reader"}]}

    for module in (clients, traces):
        monkeypatch.setattr(module, "call", answered)
    assert run("user", "add", "alice", "--consent", "all").exit_code == 0
    assert run("device", "add", "alice", "watch").exit_code == 0
    assert run(*line.split()).exit_code == 0
    action = "client.kicked" if "kick" in line else "client.traced"
    assert action.encode() in audited(data)
    assert b"alice" not in audited(data)
    (entry,) = (json.loads(line) for line in run("audit", "list", "--action", action, "--json").stdout.splitlines())
    assert entry["subject"]
    assert entry["detail"] == {}
