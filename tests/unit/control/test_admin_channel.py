"""The admin channel: both ends, and a service that is not there."""

import asyncio
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.control import channel
from healthsync_mqtt.control.admin_server import AdminServer
from healthsync_mqtt.control.channel import call, heeded
from healthsync_mqtt.control.service_file import ServiceFile, split_address
from healthsync_mqtt.errors import NotFoundError, UnavailableError, UsageError


def describe(data: Path, socket: Path, pid: int | None = None) -> ServiceFile:
    return ServiceFile(
        pid=pid or os.getpid(), mqtt="127.0.0.1:1", mqtts="127.0.0.1:2", wss="127.0.0.1:3", ca_file="ca.crt",
        socket=str(socket), started_at="2026-11-23T06:00:00.000000Z", version="1",
    )  # fmt: skip


def test_the_file_keeps_what_each_listener_is_bound_to_and_one_of_an_older_release_is_read(tmp_path: Path) -> None:
    described = replace(describe(tmp_path, tmp_path / "s"), bound={"mqtts": ["0.0.0.0:2", "[::]:2"]})
    described.write(tmp_path)
    assert ServiceFile.read(tmp_path) == described
    kept = json.loads((tmp_path / "service.json").read_text())
    (tmp_path / "service.json").write_text(
        json.dumps({name: kept[name] for name in kept if name not in {"bound", "http"}})
    )
    assert ServiceFile.read(tmp_path).bound == {}


async def echo(arguments: dict) -> dict:
    return {"you said": arguments}


async def missing(_arguments: dict) -> dict:
    raise NotFoundError("there is no such thing", hint="look elsewhere")


async def ask(data: Path, verb: str, **arguments) -> dict:
    return await asyncio.to_thread(call, data, verb, **arguments)


@pytest.fixture(params=["short", "x" * 120], ids=["short", "long"])
async def served(request, tmp_path: Path):
    data = tmp_path / request.param
    data.mkdir(mode=0o700)
    async with AdminServer(data / "service.sock", {"echo": echo, "missing": missing}) as server:
        describe(data, server.path).write(data)
        yield data, server
    assert not server.path.exists()


async def test_answers_pass(served) -> None:
    data, server = served
    assert await ask(data, "echo", number=3) == {"you said": {"number": 3}}
    assert len(os.fsencode(server.path)) <= 100
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600


async def test_errors_keep_their_class_message_and_fix(served) -> None:
    with pytest.raises(NotFoundError, match="no such thing") as caught:
        await ask(served[0], "missing")
    assert caught.value.hint == "look elsewhere"


async def test_unknown_verb(served) -> None:
    with pytest.raises(UsageError):
        await ask(served[0], "erase")


@pytest.mark.parametrize("line", [b"not json\n", b"[]\n", b"\n", b""])
async def test_what_is_no_call_harms_nobody(served, line) -> None:
    data, server = served
    reader, writer = await asyncio.open_unix_connection(server.path)
    writer.write(line)
    writer.write_eof()
    assert "error" in json.loads(await reader.readline())
    writer.close()
    await writer.wait_closed()
    assert await ask(data, "echo") == {"you said": {}}


def test_no_service(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no service runs"):
        call(tmp_path, "status")


def test_service_that_died_without_a_goodbye(tmp_path: Path) -> None:
    describe(tmp_path, tmp_path / "service.sock", pid=2**22 + 5).write(tmp_path)
    with pytest.raises(UnavailableError, match="has ended"):
        call(tmp_path, "status")


def test_service_that_does_not_answer(tmp_path: Path) -> None:
    describe(tmp_path, tmp_path / "service.sock").write(tmp_path)
    with pytest.raises(UnavailableError, match="does not answer"):
        call(tmp_path, "status")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"pid": 1}'])
def test_damaged_service_file(tmp_path: Path, content: str) -> None:
    ServiceFile.path(tmp_path).write_text(content)
    with pytest.raises(UnavailableError):
        ServiceFile.read(tmp_path)


@pytest.mark.parametrize(("text", "pair"), [("127.0.0.1:8883", ("127.0.0.1", 8883)), ("[::1]:1", ("::1", 1))])
def test_addresses(text, pair) -> None:
    assert split_address(text) == pair


async def test_a_change_is_heeded_after_its_commit_and_before_the_command_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    place, seen = DataDirectory(data), []

    async def heed(_arguments: dict) -> dict:
        with place.registry() as registry:
            seen.append([each.id for each in registry.users()])
        return {}

    def add(user: str) -> None:
        with place.changing() as change:
            change.registry.add_user(user, None, 1)
            assert not any(user in users for users in seen)
        assert user in seen[-1]

    with place.registry():
        pass
    async with AdminServer(data / "service.sock", {"heed": heed}) as server:
        describe(data, server.path).write(data)
        await asyncio.to_thread(add, "alice")
    assert seen == [["alice"]]


async def test_no_change_waits_long_for_a_service_that_hangs_and_none_fails_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    place, asked, let_go = DataDirectory(data), asyncio.Event(), asyncio.Event()

    async def hang(_arguments: dict) -> dict:
        asked.set()
        await let_go.wait()
        return {}

    def add(user: str) -> None:
        with place.changing() as change:
            change.registry.add_user(user, None, 1)

    add("alice")
    monkeypatch.setattr(channel, "HEEDED_WITHIN_S", 0.01)
    async with AdminServer(data / "service.sock", {"heed": hang}) as server:
        describe(data, server.path).write(data)
        assert not await asyncio.to_thread(heeded, data)
        await asyncio.to_thread(add, "bob")
        let_go.set()
    assert asked.is_set()
    with place.registry() as registry:
        assert [each.id for each in registry.users()] == ["alice", "bob"]
