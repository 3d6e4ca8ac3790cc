"""The API as its document describes it: schemathesis asks every route as nobody, a person and an admin, over TLS.

In each run of the tests an example or two of each route; with ``SCHEMATHESIS_EXAMPLES=50`` so many, the bounds of each
parameter, and links between routes. What it looks for: 5xx, answers that the document does not have, and what is told
without the credentials that it asks for.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Browser
from tests.support.service import Service
from tests.support.web import Web

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "1"))
PHASES = "examples,fuzzing" if EXAMPLES == 1 else "examples,coverage,fuzzing,stateful"
LEFT_OUT = "positive_data_acceptance"
"""Of bodies that fit the schema not each is meant: they name what there may not be (decision 117)."""
ENDLESS = ("/v1/stream", "/ws")
ENDS_ITSELF = {"nobody": (), "alice": ("/v1/session", "/v1/session/refresh"), "root": ()}
"""What ends the session that asks."""
NAMES = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429, 431, "5xx"]
[dictionaries]
users = { values = ["alice", "bob"] }
names = { values = ["watch", "phone", "reader", "hook", "e-1", "nightscout"] }
[parameters]
"path.user" = { dictionary = "users", probability = 0.7 }
"path.device" = { dictionary = "names", probability = 0.7 }
"path.event_id" = { dictionary = "names", probability = 0.7 }
"path.format" = { dictionary = "names", probability = 0.7 }
"path.name" = { dictionary = "names", probability = 0.5 }
"""
"""Of what there is here: an answer about nobody says little. What breaks its schema may be too long, too: 413, 431."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    limits = {f"HEALTHSYNC_LIMITS__{name}": "100000" for name in ("DEVICE_MESSAGES_PER_S", "DEVICE_BURST")}
    held_back = {f"HEALTHSYNC_LIMITS__FAILED_LOGIN_{name}_S": "0.001" for name in ("BASE", "MAX")}
    data = tmp_path_factory.mktemp("asked") / "data"
    with Service(data, "--http-port", "0", env=limits | held_back) as service:
        yield service


@pytest.fixture(scope="module")
def headers(service: Service) -> dict[str, list[str]]:
    """What each caller sends."""
    for user in ("alice", "bob"):
        service.cli("user", "add", user, "--consent", "all")
    watch = service.cli("device", "add", "alice", "watch")[0]
    service.cli("subscriber", "add", "reader", "--users", "alice", "--types", "*")
    root = service.cli("admin", "add", "root")[0]
    web = Web(service.ready["http"], service.ca_file)
    event = {"id": "e-1", "type": "heart_rate", "start_time": "2026-11-23T06:00:00Z", "value": {"bpm": 60}}
    assert web.as_(watch["token"]).post("/v1/events", event).status == 200
    browser = Browser(web)
    assert browser.post(service.cli("user", "invite", "alice")[0]["url"].removeprefix(web.url)).status == 200
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return {
        "nobody": [],
        "alice": [f"Cookie: {cookies}", f"X-CSRF-Token: {browser.csrf}"],
        "root": [f"Authorization: Bearer {root['token']}"],
    }


@pytest.mark.parametrize("caller", ["nobody", "alice", "root"])
def test_schemathesis_finds_nothing(
    service: Service, headers: dict[str, list[str]], tmp_path: Path, caller: str
) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(NAMES)
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config),
        "run", f"{service.ready['http']}/v1/openapi.json",
        "--tls-verify", str(service.ca_file), "--phases", PHASES, "--max-examples", str(EXAMPLES),
        "--checks", "all", "--exclude-checks", LEFT_OUT, "--continue-on-failure", "--no-shrink",
        "--generation-database", "none", "--warnings", "off", "--no-color", "--request-timeout", "120",
    ]  # fmt: skip
    for path in (*ENDLESS, *ENDS_ITSELF[caller]):
        command += ["--exclude-path", path]
    for header in headers[caller]:
        command += ["--header", header]
    if EXAMPLES == 1:
        command += ["--seed", "1"]
        if caller == "nobody":  # who is refused before a word of it is read
            command += ["--mode", "positive"]
    asked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stdout[-8_000:] + asked.stderr[-2_000:]
    log = service.log_path.read_text()
    assert "gateway.defect" not in log
    assert "gateway.request_failed" not in log
    assert service.running
