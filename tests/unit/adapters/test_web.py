"""Asking a provider: it is asked where it is said to be, by TLS, and nowhere that it sends us to. T46."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from healthsync_mqtt.adapters.cloud import CloudFault, judged
from healthsync_mqtt.adapters.web import CloudRequest, DirectWeb, check_url
from healthsync_mqtt.errors import ConfigError

asked: list[str] = []


@pytest.fixture
def address() -> Iterator[str]:
    asked.clear()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/silent":
                released.wait()
                return
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  # the library's name

    released = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_redirect_is_not_followed_and_is_no_data(address: str) -> None:
    found = DirectWeb().ask(CloudRequest(method="GET", url=f"{address}/data", headers={"Authorization": "Bearer x"}))
    assert (found.status, asked) == (302, ["/data"])
    failed = judged(found, None)
    assert failed is not None
    assert failed.fault is CloudFault.retry


def test_who_does_not_answer_and_who_is_not_there_are_no_answers(address: str) -> None:
    assert DirectWeb(timeout_s=0.2).ask(CloudRequest(method="GET", url=f"{address}/silent")).fault == "timeout"
    assert DirectWeb().ask(CloudRequest(method="GET", url="http://127.0.0.1:1/")).fault == "unreachable"


@pytest.mark.parametrize(
    "url", ["http://example.org/", "http://10.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "//x", ""]
)
def test_only_tls_leaves_this_machine(url: str) -> None:
    with pytest.raises(ConfigError):
        check_url(url)
    assert check_url("https://example.org/x") == "https://example.org/x"


def test_a_request_shows_no_token_in_a_log() -> None:
    request = CloudRequest(
        method="GET", url="https://x.test/", headers={"Authorization": "Bearer secret"}, body=b"secret"
    )
    assert "secret" not in repr(request)
