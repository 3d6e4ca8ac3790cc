"""Where providers send what is new, and where users come back to from agreeing."""

import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from typer.testing import Result

from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from tests.support.commands import invoke

APPS = "".join(
    f'[adapters.{name}]\nclient_id = "app"\nclient_secret = "secret"\n' for name in ("whoop", "withings", "dexcom")
)
PUBLIC = '[gateway]\npublic_url = "https://health.example.org"\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    assert invoke(["user", "add", "alice", "--consent", "all", "--data", str(tmp_path / "data")]).exit_code == 0
    write(tmp_path / "data", PUBLIC + APPS)
    return tmp_path / "data"


def write(data: Path, settings: str) -> None:
    (data / "healthsync.toml").write_text(settings)
    (data / "healthsync.toml").chmod(0o600)


def run(data: Path, *words: str) -> Result:
    return invoke([*words, "--data", str(data)])


def test_where_a_provider_sends_is_shown_and_whether_it_does(data: Path) -> None:
    shown = json.loads(run(data, "adapter", "webhook", "whoop", "--json").stdout)
    assert (shown["url"], shown["by_hand"]) == ("https://health.example.org/v1/hooks/whoop", True)
    assert (shown["checked_at"], shown["waiting"]) == (None, 0)
    assert "developers" in shown["hint"]
    with NoticeInbox.open(data) as inbox:
        word = inbox.secrets("withings").word
        inbox.put("withings", b"userid=1", 1)
        inbox.looked("withings", hint="Withings cannot use the address", now_us=1_795_000_000_000_000, due_us=1)
    shown = json.loads(run(data, "adapter", "webhook", "withings", "--json").stdout)
    assert shown["url"] == f"https://health.example.org/v1/hooks/withings/{word}"
    assert (shown["by_hand"], shown["hint"], shown["waiting"]) == (False, "Withings cannot use the address", 1)
    assert shown["checked_at"].startswith("2026-11-18")
    assert "health.example.org" in run(data, "adapter", "webhook", "withings").output


def test_who_sends_nothing_and_where_nobody_can_send_is_said(data: Path) -> None:
    refused = run(data, "adapter", "webhook", "dexcom")
    assert (refused.exit_code, "sends nothing" in refused.output) == (69, True)
    assert run(data, "adapter", "webhook", "fitbit").exit_code == 69
    write(data, APPS)
    for words in (("webhook", "whoop"), ("link", "alice", "whoop", "--public")):
        refused = run(data, "adapter", *words)
        assert (refused.exit_code, "gateway.public_url" in refused.output) == (78, True)
    write(data, PUBLIC.replace("https://", "ftp://") + APPS)
    assert run(data, "adapter", "webhook", "whoop").exit_code == 78


def test_a_public_invitation_leads_back_to_the_gateway(data: Path) -> None:
    made = json.loads(run(data, "adapter", "link", "alice", "whoop", "--public", "--json").stdout)
    asked = dict(parse_qsl(urlsplit(made["url"]).query))
    assert asked["redirect_uri"] == "https://health.example.org/v1/link/whoop/callback"
    assert asked["state"] == made["state"]
    assert "10 minutes" in run(data, "adapter", "link", "alice", "whoop", "--public").output
