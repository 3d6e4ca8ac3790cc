"""healthsync mcp as an assistant meets it: the SDK's own client speaks with the command, which asks a gateway."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.support.pages import Typist, Walk
from tests.support.patience import PATIENCE_S
from tests.support.service import HEALTHSYNC, Service, run_cli
from tests.support.web import Web

TOOLS = {"types", "days", "series", "insights", "events"}
AT = "2026-11-23T06:0{}:00Z"


@dataclass
class Scene:
    service: Service
    place: Path

    @property
    def url(self) -> str:
        return str(self.service.ready["http"])

    def token(self, name: str) -> Path:
        return self.place / f"{name}.token"

    @asynccontextmanager
    async def assistant(self, token: str, *more: str) -> AsyncIterator[Client]:
        """An assistant that has started the command with this token."""
        words = [*HEALTHSYNC, "mcp", "--url", self.url, "--token-file", str(self.token(token))]
        words += ["--ca-file", str(self.service.ca_file), *more]
        with (self.place / f"{token}.log").open("w", encoding="utf-8") as log:
            command = StdioServerParameters(command=words[0], args=words[1:], env=dict(os.environ))
            async with Client(stdio_client(command, errlog=log)) as client:
                yield client


async def said(client: Client, tool: str, **asked: Any) -> str:
    answer = await client.call_tool(tool, asked)
    text = "".join(each.text for each in answer.content if each.type == "text")
    assert bool(answer.is_error) is not text.startswith("{"), text
    return text


async def told(client: Client, tool: str, **asked: Any) -> Any:
    return json.loads(await said(client, tool, **asked))


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110  # no event says it
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    place = tmp_path_factory.mktemp("assistant")
    data = place / "data"
    with Service(data, "--http-port", "0") as service:
        found = Scene(service, place)
        for user in ("alice", "bob"):
            service.cli("user", "add", user, "--consent", "all")
            device = service.cli("device", "add", user, "watch")[0]["token"]
            found.token(user).write_text(f"{device}\n")
            found.token(user).chmod(0o600)
            web = Web(service.ready["http"], service.ca_file).as_(device)
            events = [
                {"id": f"{user}-{n}", "type": "heart_rate", "start_time": AT.format(n), "value": {"bpm": 60 + n}}
                for n in range(5)
            ]
            assert web.post("/v1/events", events).json()["stored"] == 5
        token = ("--token-file", str(found.token("reader")))
        service.cli("subscriber", "add", "reader", "--users", "alice", "--types", "*", *token)
        yield found


async def test_what_the_tools_are(scene: Scene) -> None:
    async with scene.assistant("alice") as client:
        tools = {each.name: each for each in (await client.list_tools()).tools}
        assert tools.keys() == TOOLS
        for each in tools.values():
            assert each.annotations is not None
            assert each.annotations.read_only_hint is True
            assert "unit" in str(each.description) or "figures" in str(each.description)
            assert "diagnosis" in str(each.description)


async def test_a_person_s_own_data_and_nobody_elses(scene: Scene) -> None:
    async with scene.assistant("alice") as client:
        [of] = (await told(client, "types"))["types"]
        assert (of["type"], of["numbers"]) == ("heart_rate", [{"field": "bpm", "unit": "/min"}])
        page = await told(client, "events", limit=3)
        assert [each["id"] for each in page["events"]] == ["alice-4", "alice-3", "alice-2"]
        rest = await told(client, "events", limit=3, cursor=page["next"])
        assert [each["id"] for each in rest["events"]] == ["alice-1", "alice-0"]
        line = await told(client, "series", type="hr", since=AT.format(0), until=AT.format(9), points=10)
        assert (line["value"], line["unit"]) == ([60, 61, 62, 63, 64], "/min")
        assert await told(client, "insights") == {"insights": [], "next": None}

        async def summed() -> bool:
            return bool((await told(client, "days", type="heart_rate"))["days"])

        await until(summed)
        for tool in TOOLS:
            more = {"type": "hr", "since": AT.format(0), "until": AT.format(9)} if tool == "series" else {}
            refused = [await said(client, tool, user=user, **more) for user in ("bob", "nobody")]
            assert "404 not_found" in refused[0]
            assert refused[0] == refused[1]
        assert "unknown_type" in await said(client, "events", type="mood_of_the_cat")
        assert "limit" in await said(client, "events", limit=1_000)
    log = (scene.place / "alice.log").read_text()
    assert scene.token("alice").read_text().strip() not in log
    assert "Traceback" not in log


async def test_what_is_withdrawn_is_not_told_at_the_next_call_and_a_new_token_is_used(scene: Scene) -> None:
    async with scene.assistant("reader") as client:
        assert "name the user" in await said(client, "types")  # it may be of several
        assert len((await told(client, "events", user="alice"))["events"]) == 5
        scene.service.cli("consent", "withdraw", "alice", "--types", "heart_rate", "--purpose", "share")

        async def nothing() -> bool:
            return (await told(client, "events", user="alice"))["events"] == []

        await until(nothing)
        kept = scene.token("reader").read_text()
        scene.token("reader").write_text("x.y.z")
        said_so = await said(client, "events", user="alice")
        assert "401" in said_so
        assert "x.y.z" not in said_so
        scene.token("reader").write_text(kept)
        await told(client, "events", user="alice")


async def test_a_certificate_of_nobody_known_is_not_trusted(scene: Scene) -> None:
    words = [*HEALTHSYNC, "mcp", "--url", scene.url, "--token-file", str(scene.token("bob"))]
    command = StdioServerParameters(command=words[0], args=words[1:], env=dict(os.environ))
    async with Client(stdio_client(command)) as client:
        assert "--ca-file" in await said(client, "types")


def test_the_page_is_typed(scene: Scene, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    lines = {
        "healthsync": f'exec {sys.executable} -c "from healthsync_mqtt.cli.main import main; main()" "$@"',
        "pip": f"exec {sys.executable} -c 'import mcp'",
    }
    for name, line in lines.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}", "HEALTHSYNC_DATA": str(scene.service.data)
    }  # fmt: skip
    swaps = {"https://localhost:8443": scene.url}
    typist = Typist(cwd=scene.place, env=environment, swaps=swaps)
    try:
        walk = Walk("docs/howto/assistant.md", typist)
        walk.go(4)
        walk.done()
    finally:
        typist.close()
    assert scene.token("assistant").stat().st_mode & 0o077 == 0
    assert run_cli(scene.service.data, "subscriber", "show", "assistant")
