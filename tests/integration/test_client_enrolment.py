"""The client's one-call enrolment and its automatic renewal, against the service."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.client import Credentials, DeviceClient, enroll, enrolment
from healthsync_mqtt.client.enrolment import Renewal, lobby_transport
from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support.inprocess import Bystander, House
from tests.support.peer import event

pytestmark = pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001}])


def where(house: House) -> tuple[str, int]:
    host, _, port = house.ready.mqtts.rpartition(":")
    return host, int(port)


def named_after(file: Path) -> list[str]:
    """The file, and what lies beside it for its sake."""
    return sorted(path.name for path in file.parent.iterdir() if file.name in path.name)


async def enrolled(house: House, file: Path) -> Credentials:
    now_us = int(time.time() * 1e6)
    house.registry.add_user("alice", "all", now_us)
    code = house.registry.enrolments.create("alice", "watch", now_us)
    return await enroll(*where(house), code=code, save_to=file, ca_file=Path(house.ready.ca_file))


def client(house: House, credentials: Credentials) -> DeviceClient:
    return DeviceClient(*where(house), credentials=credentials, ca_file=Path(house.ready.ca_file))


async def test_enrolled_in_one_call_and_renewed_when_the_token_has_ended(
    house: House, bob: Bystander, tmp_path: Path
) -> None:
    file = tmp_path / "watch.json"
    first = await enrolled(house, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert Credentials.from_file(file) == first
    assert first.token not in repr(first)
    async with client(house, first) as watch:
        assert (await watch.publish(json.loads(event("e1")))).stored == 1
    assert Credentials.from_file(file) == first
    ended = replace(first, expires_at=time.time() - 1)
    async with client(house, ended) as watch:
        assert (await watch.publish(json.loads(event("e2")))).stored == 1
    renewed = Credentials.from_file(file)
    assert renewed.refresh_token != first.refresh_token
    assert renewed.token != first.token
    await house.still_serves(bob)


async def test_a_token_that_is_refused_is_renewed_at_once(house: House, bob: Bystander, tmp_path: Path) -> None:
    first = await enrolled(house, tmp_path / "watch.json")
    async with client(house, replace(first, token="void")) as watch:
        assert (await watch.publish(json.loads(event("e1")))).stored == 1
    await house.still_serves(bob)


async def test_a_used_code_is_refused(house: House, bob: Bystander, tmp_path: Path) -> None:
    now_us = int(time.time() * 1e6)
    house.registry.add_user("alice", "all", now_us)
    code = house.registry.enrolments.create("alice", "watch", now_us)
    house.look()
    ca_file = Path(house.ready.ca_file)
    await enroll(*where(house), code=code, ca_file=ca_file)
    with pytest.raises(DeniedError):
        await enroll(*where(house), code=code, ca_file=ca_file)
    await house.still_serves(bob)


async def test_an_answer_that_was_lost_is_asked_for_again(house: House, bob: Bystander, tmp_path: Path) -> None:
    """The device died before it had written down the new token: the old one still buys the same one for a minute."""
    first = replace(await enrolled(house, tmp_path / "watch.json"), expires_at=0.0)
    make = lobby_transport(*where(house), ca_file=Path(house.ready.ca_file), tls=True)
    tokens = []
    for _ in range(2):
        renewal = Renewal(replace(first, file=None), make, topics=TopicRegistry.load())
        await renewal()
        tokens.append(renewal.credentials.refresh_token)
    assert tokens[0] == tokens[1] != first.refresh_token
    await house.still_serves(bob)


async def test_a_program_that_was_ended_before_its_answer_asks_again_when_it_is_started_anew(
    house: House, bob: Bystander, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is used by then, and the credentials of it are nowhere yet."""
    now_us = int(time.time() * 1e6)
    house.registry.add_user("alice", "all", now_us)
    code = house.registry.enrolments.create("alice", "watch", now_us)
    house.look()
    file = tmp_path / "watch.json"

    async def again() -> Credentials:
        return await enroll(*where(house), code=code, save_to=file, ca_file=Path(house.ready.ca_file))

    class Ended(BaseException):
        pass

    def ended(*_: Any) -> Any:
        raise Ended

    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "_granted", ended)
        with pytest.raises(Ended):
            await again()
    assert file.name not in named_after(file)
    assert (await again()).device_id == "watch"
    assert named_after(file) == [file.name]
    with pytest.raises(DeniedError):
        await again()
    assert named_after(file) == [file.name]
    await house.still_serves(bob)
