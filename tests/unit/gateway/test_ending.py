"""A gateway that ends says so: who waits is to send again, streams end whole, and nothing of it is a defect."""

import logging
import threading
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

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
