"""A gateway that ends says so: who waits is to send again, streams end whole, and nothing of it is a defect."""

import asyncio
import gc
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.gateway.event_log.tail import Tail
from healthsync_mqtt.gateway.process import serve
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.gateway import GATEWAY
from healthsync_mqtt.mqtt.links.port import Address
from tests.support.gateway import filled, gateway_here
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.web import HttpAnswer


def test_who_waits_for_a_commit_is_told_to_send_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path / "data", ["alice"], [])
    answers: list[HttpAnswer] = []
    with gateway_here(tmp_path / "data") as here:  # no broker: it waits for one
        alice = here.device("alice", "watch")
        asking = threading.Thread(target=lambda: answers.append(alice.post("/v1/events", [])))
        asking.start()
        wait_until(lambda: here.house.publisher.waiting == 1)
    asking.join(PATIENCE_S)
    [answer] = answers
    assert (answer.status, answer.json()["reason"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert [each for each in caplog.records if each.levelno >= logging.ERROR and "shutdown" not in each.message] == []


def test_streams_end_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path / "data", ["alice"], [])
    with gateway_here(tmp_path / "data") as here:
        alice = here.device("alice", "watch")
        connection = alice.connection()
        connection.request("GET", "/v1/stream", headers={"authorization": alice.authorization})
        stream = connection.getresponse()
        url = here.web.url.replace("http", "ws", 1) + "/v1/stream"
        talk = connect(url, additional_headers={"authorization": alice.authorization})
        wait_until(lambda: here.house.streams.open == 2)
    assert stream.read().startswith(b"retry:")  # to its end, which is none of a connection that was cut
    with pytest.raises(ConnectionClosed) as closed:
        talk.recv(PATIENCE_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code in {1001, 1012}  # uvicorn's own word for it is 1012
    talk.close()
    connection.close()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


@pytest.fixture
def collected() -> Iterator[None]:
    """As this process collects what is left over, which a gateway changes for its own."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collected")
async def test_a_part_that_fails_ends_the_gateway_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: Tail) -> None:
        await asyncio.sleep(0)
        raise TypeError("a defect")

    monkeypatch.setattr(Tail, "run", broken)
    filled(tmp_path / "data", ["alice"], [])
    settings = load_settings(tmp_path / "data", {"gateway.tls": False, "gateway.host": "127.0.0.1"})
    CredentialStore(settings.paths.credentials).ensure(GATEWAY.client_id)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(HealthSyncError, match="part"), socket.create_server(("127.0.0.1", 0)) as listening:
            await serve(settings, Address(host="127.0.0.1", port=1), [listening], begun=lambda: None)
    [said] = [each for each in caplog.records if each.getMessage() == "gateway.part_ended"]
    assert said.event_keys["part"] == "gateway.tail"  # type: ignore[attr-defined]
