"""Insights of a running service: found by its process, told to who may know, taken back with what they were made of."""

import json
import time
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from healthsync_mqtt.cli.main import needed, program
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.insights.week import weekday
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.summaries.day import date_text
from tests.support.language_model import KEY, ScriptedModel
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.peer import Identity, Peer
from tests.support.service import Service

DAY_US = 86_400_000_000
TODAY = time.time_ns() // 1000 // DAY_US
WHO = "marker-zoe"
WEEKS = 41


def typed(data: Path, *words: str) -> list[Any]:
    """What a command prints. In this process, which is a fifth of the time; the service has its own."""
    done = CliRunner().invoke(program(needed(words)), [*words, "--data", str(data), "--json"])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def resting(user: str, ago: int, bpm: float, version: int = 0) -> dict[str, Any]:
    at_us = (TODAY - ago) * DAY_US + 7 * 3_600_000_000
    about = {"start_time": iso(at_us), "value": {"bpm": bpm}, "utc_offset": 0, "version": version}
    return {"id": f"{user}-{ago}", "type": "resting_heart_rate", **about}


def weeks(user: str, until: int = 1) -> bytes:
    """Six weeks as usual and two days that are not, the last of them so many days ago."""
    usual = [resting(user, ago + until - 1, 60 + ago % 3) for ago in range(3, WEEKS + 1)]
    return json.dumps([*usual, resting(user, until + 1, 74), resting(user, until, 75)]).encode()


def watch_of(data: Path, user: str) -> Identity:
    typed(data, "user", "add", user, "--consent", "all")
    (made,) = typed(data, "device", "add", user, "watch")
    return Identity(client_id=made["client_id"], token=made["token"], user=user, device="watch")


def days(data: Path, user: str) -> list[str]:
    return [each["day"] for each in typed(data, "insight", "list", "--user", user)]


async def test_a_change_is_found_told_corrected_withdrawn_and_erased(tmp_path: Path) -> None:
    data = tmp_path / "data"
    yesterday = date_text(TODAY - 1)
    with Service(data) as service:
        watches = {user: watch_of(data, user) for user in ("alice", WHO)}
        (made,) = typed(data, "subscriber", "add", "reader", "--users", f"alice,{WHO}")
        app = Identity(client_id=made["client_id"], token=made["token"])
        reader = await Peer.open(service.ready["mqtt"])
        await reader.connect(app)
        granted = await reader.subscribe(*((f"users/{user}/insights/baseline", 1) for user in watches))
        assert granted == (1, 1)
        told: dict[str, Any] = {}

        async def until(user: str, *, there: bool) -> None:
            deadline = time.monotonic() + PATIENCE_S
            while (told.get(user) is not None) is not there:
                assert time.monotonic() < deadline, (user, told)
                for message in await reader.settle():
                    said = json.loads(message.payload) if message.payload else None
                    # While days are still worked out it may rest on fewer of them.
                    whole = said is None or said["findings"][0]["rests_on"]["days"] == WEEKS
                    told[bytes(message.topic).decode().split("/")[1]] = said if whole else None

        peers = {}
        for user, watch in watches.items():
            peers[user] = await Peer.open(service.ready["mqtt"])
            await peers[user].connect(watch)
            await peers[user].publish(watch.events, weeks(user))
        for user in watches:
            await until(user, there=True)
            said = told[user]
            assert (said["user_id"], said["kind"], said["day"]) == (user, "baseline", yesterday)
            assert said["findings"] == typed(data, "insight", "list", "--user", user)
            assert typed(data, "insight", "show", "--user", user) == [said]
            assert typed(data, "insight", "run", "--user", user, "--day", yesterday) == said["findings"]

        correction = json.dumps(resting("alice", 2, 61, version=1)).encode()
        await peers["alice"].publish(watches["alice"].events, correction)
        await until("alice", there=False)
        assert days(data, "alice") == []
        back = json.dumps(resting("alice", 2, 74, version=2)).encode()
        await peers["alice"].publish(watches["alice"].events, back)
        await until("alice", there=True)
        typed(data, "consent", "withdraw", "alice", "--purpose", "insights", "--yes")
        await until("alice", there=False)
        wait_until(lambda: days(data, "alice") == [], "what was found is out of the file")
        assert days(data, WHO) == [yesterday], "the other person's is whole"

        typed(data, "user", "erase", WHO, "--yes", "--reason", "asked for")
        assert WHO.encode() not in (data / "insights.db").read_bytes()
        later = await Peer.open(service.ready["mqtt"])  # an erasure ends the connections of who may read the person
        await later.connect(app)
        await later.subscribe(*((f"users/{user}/insights/+", 1) for user in watches))
        assert [message.topic for message in await later.settle()] == []
        for peer in (*peers.values(), reader, later):
            await peer.leave()
    assert WHO.encode() not in (data / "insights.db").read_bytes()
    assert "insights.process_ended" not in service.log_path.read_text()


async def test_who_agrees_to_it_by_name_gets_a_report_until_that_is_withdrawn(tmp_path: Path) -> None:
    data, key = tmp_path / "data", tmp_path / "model.key"
    key.touch(0o600)
    key.write_text(KEY)
    sunday = TODAY - 1 - weekday(TODAY)
    with ScriptedModel() as model:
        data.mkdir(0o700)
        (data / "healthsync.toml").write_text(
            f'[insights.model]\nurl = "{model.url}"\nname = "small"\nkey_file = "{key}"\n'
        )
        with Service(data) as service:
            watches = {user: watch_of(data, user) for user in ("alice", WHO)}
            typed(data, "consent", "grant", "alice", "--types", "all", "--purpose", "analysis")
            (made,) = typed(data, "subscriber", "add", "reader", "--users", "alice")
            reader = await Peer.open(service.ready["mqtt"])
            await reader.connect(Identity(client_id=made["client_id"], token=made["token"]))
            await reader.subscribe(("users/alice/insights/report", 1))
            for user, watch in watches.items():
                peer = await Peer.open(service.ready["mqtt"])
                await peer.connect(watch)
                await peer.publish(watch.events, weeks(user, until=TODAY - sunday))
                await peer.leave()

            def found(user: str, kind: str) -> list[Any]:
                file = InsightFile.read(data / "insights.db")
                if file is None:
                    return []
                with file:
                    return [each.event for each in file.newest(user, kind)]

            def whole() -> bool:
                told = [each["sentence"] for each in found("alice", "baseline")]
                return told != [] and [each["sentence"] for each in found("alice", "report")] == told

            wait_until(whole, "the report says what was found")
            wait_until(lambda: found(WHO, "baseline") != [], "the other one's days were looked at, too")
            assert found(WHO, "report") == [], "who agrees to everything has not agreed to this"
            known = [{"sentence": each["sentence"], "figures": each["figures"]} for each in found("alice", "baseline")]
            assert model.shown[-1] == known
            assert not any(WHO in json.dumps(shown) or "alice" in json.dumps(shown) for shown in model.shown)
            (said,) = typed(data, "insight", "show", "--user", "alice", "--kind", "report")
            assert (said["day"], said["findings"]) == (date_text(sunday), found("alice", "report"))
            told: list[Any] = []
            deadline = time.monotonic() + PATIENCE_S
            while told[-1:] != [said]:
                assert time.monotonic() < deadline, told
                told += [json.loads(message.payload) for message in await reader.settle() if message.payload]

            typed(data, "consent", "withdraw", "alice", "--purpose", "analysis", "--yes")
            wait_until(lambda: found("alice", "report") == [], "the report is out of the file")
            assert found("alice", "baseline") != []
            payloads: list[bytes] = []
            while payloads[-1:] != [b""]:
                assert time.monotonic() < deadline, payloads
                payloads += [message.payload for message in await reader.settle()]
            await reader.leave()
        assert model.refused == []
    assert KEY not in service.log_path.read_text()
