"""What no route is asked about is refused like everything else: a problem, an id, headers, and no line of a defect."""

import logging
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from healthsync_mqtt.gateway.server.http_server import HEAD_BYTES
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.web import HttpAnswer, Web

UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
HANDSHAKE = f"{UPGRADE}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("unreadable") / "data"
    filled(data, ["alice"], [])
    with gateway_here(data) as here:
        yield here


@pytest.fixture(scope="module")
def watch(scene: GatewayHere) -> Web:
    return scene.device("alice", "watch")


def connected(web: Web) -> socket.socket:
    where = urlsplit(web.url)
    return socket.create_connection((where.hostname, where.port), timeout=PATIENCE_S)


def to_its_end(asked: socket.socket) -> bytes:
    heard = b""
    while part := asked.recv(65_536):
        heard += part
    return heard


def read(heard: bytes) -> HttpAnswer:
    """The one answer that these bytes are."""
    head, _, body = heard.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert len(body) == int(headers["content-length"])
    return HttpAnswer(int(first.split(" ")[1]), headers, body)


def is_ours(answer: HttpAnswer, status: int) -> None:
    assert answer.status == status
    said = answer.json()
    assert (answer.headers["content-type"], said["status"]) == ("application/problem+json", status)
    assert said["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def said_of_it(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Lines beside the one that has a bound, and the one that there is no broker here."""
    said = [each.getMessage() for each in caplog.records if each.levelno > logging.INFO]
    return [each for each in said if each != "gateway.broker_away"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /v1/catalogue HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/catalogue HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-Much: " + b"a" * 20_000, 431),
        (b"POST /v1/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ],
)
def test_a_request_that_cannot_be_read_is_a_problem_too(
    scene: GatewayHere, caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    with connected(scene.web) as asked:
        asked.sendall(sent)
        answer = read(to_its_end(asked))
    is_ours(answer, status)
    assert b"Much" not in answer.body
    assert said_of_it(caplog) == []


@pytest.mark.parametrize("method", ["POST", "HEAD"])
def test_a_body_that_cannot_be_read_on_is_answered_once(
    scene: GatewayHere, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    with connected(scene.web) as asked:
        head = (
            f"{method} /v1/oauth/revoke HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntoken\r\nzz\r\n"
        )
        asked.sendall(head.encode())
        heard = to_its_end(asked)
    assert heard.count(b"HTTP/1.1 4") == 1
    if method == "POST":  # of HEAD the route has been asked, or not
        is_ours(read(heard), 400)
    assert said_of_it(caplog) == []


def test_what_cannot_be_read_behind_a_request_ends_its_stream(
    scene: GatewayHere, watch: Web, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(scene.web) as asked:
        head = (
            f"GET /v1/stream HTTP/1.1\r\nHost: a\r\nAuthorization: {watch.authorization}\r\nTransfer-Encoding: chunked"
        )
        asked.sendall(f"{head}\r\n\r\n".encode())
        wait_until(lambda: scene.house.streams.open == 1)
        asked.sendall(b"zz\r\n")
        heard = to_its_end(asked)
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert b"problem" not in heard
    wait_until(lambda: scene.house.streams.open == 0)
    assert said_of_it(caplog) == []


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/nowhere", HANDSHAKE, 404),
        ("/v1/catalogue", HANDSHAKE, 404),
        ("/v1/stream", HANDSHAKE, 401),
        ("/v1/stream?type=no_such", HANDSHAKE, 400),
        (f"/v1/stream?type={'x' * 200}", HANDSHAKE, 400),
        ("/v1/stream", UPGRADE, 400),
        ("/v1/stream", f"{UPGRADE}Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n", 400),
        ("/v1/stream", HANDSHAKE + "X-Many: x\r\n" * 200, 431),
        ("/v1/stream", f"{HANDSHAKE}X-Long: {'x' * 9_000}\r\n", 431),
    ],
)
def test_a_web_socket_that_is_not_opened_is_told_why(
    watch: Web, caplog: pytest.LogCaptureFixture, path: str, headers: str, status: int
) -> None:
    token = "" if status == 401 else f"Authorization: {watch.authorization}\r\n"
    with connected(watch) as asked:
        asked.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n{token}{headers}\r\n".encode())
        is_ours(read(to_its_end(asked)), status)
    assert said_of_it(caplog) == []


@pytest.mark.parametrize("first", ["POST /v1/stream HTTP/1.1", "GET /v1/session/ways HTTP/1.0"])
def test_what_can_be_no_web_socket_is_answered_as_it_is(scene: GatewayHere, watch: Web, first: str) -> None:
    with connected(scene.web) as asked:
        close = HANDSHAKE.replace("Upgrade\r\n", "Upgrade, close\r\n", 1)
        asked.sendall(f"{first}\r\nHost: a\r\nAuthorization: {watch.authorization}\r\n{close}\r\n".encode())
        asked.shutdown(socket.SHUT_WR)
        answer = read(to_its_end(asked))
    assert answer.status == (405 if first.startswith("POST") else 200)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("where", ["headers", "path"])
def test_a_head_that_comes_whole_is_no_longer_than_another(scene: GatewayHere, method: str, where: str) -> None:
    def answered(size: int) -> tuple[int, dict[str, str]]:
        path, header = (f"/{'a' * size}", "") if where == "path" else ("/nowhere", f"X: {'a' * size}\r\n")
        with connected(scene.web) as asked:
            head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{header}\r\n"
            asked.sendall(head.encode())
            told, _, _ = to_its_end(asked).partition(b"\r\n\r\n")
        first, *lines = told.decode().split("\r\n")
        return int(first.split(" ")[1]), dict(line.lower().split(": ", 1) for line in lines)

    rest = len(f"{method} /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: \r\n\r\n")
    assert answered(HEAD_BYTES - rest)[0] == 404
    status, headers = answered(HEAD_BYTES + 1)
    assert (status, headers["content-type"]) == (431, "application/problem+json")


def test_of_many_that_cannot_be_read_few_lines_are_written(
    scene: GatewayHere, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "healthsync")
    for _ in range(20):
        with connected(scene.web) as asked:
            asked.sendall(b"?\r\n\r\n")
            to_its_end(asked)
    assert len([each for each in caplog.records if "unreadable" in each.getMessage()]) <= 2
