"""The gate of the access hooks while something is broken: no for a while, never yes for good, and health says it."""

import asyncio
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from healthsync_mqtt.broker.external.hook_server import Watch
from healthsync_mqtt.broker.external.management import Management
from healthsync_mqtt.broker.external.rabbitmq.eviction import RabbitEvictor
from healthsync_mqtt.errors import ConfigError, UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore, epoch_of
from tests.support.patience import until


@contextmanager
def management(answer: bytes) -> Iterator[tuple[str, list[str]]]:
    """A management interface that says the same to everything; its URL and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.wfile.write(answer)

        do_GET = do_DELETE  # noqa: N815  # the name is http.server's

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n[{"na',
        b"HTTP/1.0 200 OK\r\n\r\n[{",
        b"no HTTP at all\r\n",
        b"HTTP/1.0 500 Oops\r\n\r\n",
    ],
    ids=["cut", "half JSON", "no HTTP", "500"],
)
def test_a_broken_answer_of_the_management_is_an_outage(answer: bytes) -> None:
    with management(answer) as (url, _), pytest.raises(UnavailableError):
        Management.at(url, "u", "p").call("GET", "/api")


def test_an_eviction_at_rabbitmq_names_one_client_and_lists_nothing() -> None:
    with management(b"HTTP/1.0 204 No Content\r\n\r\n") as (url, asked):
        RabbitEvictor(Management.at(url, "u", "p")).evict("alice-watch")
    assert asked[0] == "DELETE /api/connections/username/alice-watch"
    assert not any(each.startswith("GET") for each in asked)


class Gate:
    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.stale = False
        self.lost = {"alice-watch"}

    def refresh(self) -> frozenset[str]:
        if self.fails is not None:
            raise self.fails
        lost, self.lost = self.lost, set()
        return frozenset(lost)

    def shrunk(self) -> frozenset[str]:
        return frozenset()

    def write_refused(self) -> None:
        """Nobody was refused."""


class Evictor:
    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.evicted: list[str] = []

    def evict(self, client_id: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.evicted.append(client_id)


@pytest.mark.parametrize("error", [ValueError("cut"), ConfigError("loose"), RuntimeError("defect")])
async def test_the_watch_outlives_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr("healthsync_mqtt.broker.external.hook_server._REFRESH_S", 0.01)
    gate, evictor = Gate(), Evictor()
    gate.fails = evictor.fails = error
    watch = Watch(gate, (evictor,))  # type: ignore[arg-type]
    task = asyncio.create_task(watch.run())
    try:
        await until(lambda: watch.problem.startswith("registry"))
        gate.fails = None
        await until(lambda: watch.problem.startswith("eviction"))
        evictor.fails = None
        await until(lambda: evictor.evicted == ["alice-watch"])
        await until(lambda: not watch.problem)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_password_is_void_in_a_later_epoch_and_another_one_is_made(tmp_path) -> None:
    store = CredentialStore(tmp_path / "credentials")
    first, fresh = store.ensure("alice-watch")
    assert (epoch_of(first), fresh) == (0, True)
    store.told("alice-watch", first)
    assert store.ensure("alice-watch") == (first, False)
    second, fresh = store.ensure("alice-watch", 3)
    assert second != first
    assert (epoch_of(second), fresh) == (3, True)
    assert store.ensure("alice-watch", 3) == (second, True)  # no broker was told
    store.told("alice-watch", second)
    assert store.ensure("alice-watch", 3) == (second, False)
    assert store.rotate("alice-watch", 3) != second
    assert store.names() == ["alice-watch"]
