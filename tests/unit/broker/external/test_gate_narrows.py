"""The access hooks and a right that shrank: at the broker the session keeps what of it is left, where it can."""

import asyncio
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.broker.external.emqx.eviction import EmqxEvictor
from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
from healthsync_mqtt.broker.external.hook_server import Watch
from healthsync_mqtt.broker.external.management import Management
from healthsync_mqtt.broker.external.rabbitmq.eviction import RabbitEvictor
from healthsync_mqtt.broker.external.remembered_logins import RememberedLogins
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.keys.store import KeyStore, LiveKeys
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support.patience import until

ALICE, BOB = ("users/alice/canonical/steps", "users/bob/canonical/steps")


class House:
    """An installation with a subscriber of two persons, logged in; its hooks can be started anew."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now_us = time.time_ns() // 1000
        self.registry = Registry.open(root / "registry.db")
        for user in ("alice", "bob"):
            self.registry.add_user(user, "all", self.now_us)
        self.keys = LiveKeys(KeyStore(root / "keys"), self.now_us)
        for name in ("app", "other"):
            self.registry.add_subscriber(name, ["alice", "bob"], None, self.now_us)
        self.gate = self.start()
        for name in ("app", "other"):
            principal = self.registry.subscriber(name).principal
            issued = TokenIssuer(self.keys).issue(principal, lifetime_s=3600, now=self.now_us / 1e6)
            self.gate.login(name, name, issued.token, self.now_us / 1e6)
        assert self.gate.refresh() == frozenset()

    def start(self) -> Gatekeeper:
        directory = Directory(self.registry)
        store = CredentialStore(self.root / "credentials")
        return Gatekeeper(
            directory=directory,
            logins=Logins.of(directory, TokenVerifier(self.keys), store),
            keys=self.keys,
            store=store,
            rules=AccessRules(TopicRegistry.load()),
            bridges=["main"],
            remembered=RememberedLogins(self.root / "hook-logins.jsonl"),
        )

    def grants(self, users: str, name: str = "app") -> None:
        with self.registry.write():
            self.registry._tables.update("subscribers", name, {"users": users})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.registry.close()


class Evictor:
    """Writes down what it was asked; can fail for some clients."""

    def __init__(self, *fails: str) -> None:
        self.fails = set(fails)
        self.evicted: list[str] = []
        self.narrowed: dict[str, list[bool]] = {}

    def evict(self, client_id: str) -> None:
        if client_id in self.fails:
            raise UnavailableError("away")
        self.evicted.append(client_id)

    def narrow(self, client_id: str, may: Any) -> bool:
        if client_id in self.fails:
            raise UnavailableError("away")
        self.narrowed[client_id] = [may(ALICE), may(BOB)]
        return True


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthsync_mqtt.broker.external.hook_server._REFRESH_S", 0.01)


async def watched(gate: Gatekeeper, evictor: Evictor, condition: Any) -> None:
    watch = Watch(gate, (evictor,))
    task = asyncio.create_task(watch.run())
    try:
        await until(lambda: condition(watch))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_who_may_read_less_is_narrowed_and_not_thrown_out(house: House, quickly: None) -> None:
    house.grants('["bob"]')
    evictor = Evictor()
    await watched(house.gate, evictor, lambda _: evictor.narrowed)
    assert (evictor.narrowed, evictor.evicted) == ({"app": [False, True]}, [])
    assert house.gate.shrunk() == frozenset()
    assert house.gate.who("app", "app", time.time()) == house.registry.subscriber("app").principal


async def test_who_may_read_nothing_is_thrown_out(house: House, quickly: None) -> None:
    house.grants("[]")
    evictor = Evictor()
    await watched(house.gate, evictor, lambda _: evictor.evicted)
    assert (evictor.evicted, evictor.narrowed) == (["app"], {})
    assert house.gate.who("app", "app", time.time()) is None


@pytest.mark.parametrize(("users", "evicted"), [('["bob"]', []), ("[]", ["app"])])
async def test_a_right_that_shrank_while_the_hooks_were_down_is_narrowed_after(
    house: House, quickly: None, users: str, evicted: list[str]
) -> None:
    house.grants(users)
    gate, evictor = house.start(), Evictor()
    await watched(gate, evictor, lambda _: evictor.evicted or evictor.narrowed)
    assert (evictor.evicted, evictor.narrowed) == (evicted, {} if evicted else {"app": [False, True]})
    if not evicted:
        gate.refresh()
        assert house.start().shrunk() == frozenset(), "it is known as it is now"


async def test_one_whose_eviction_fails_for_ever_stops_no_other(house: House, quickly: None) -> None:
    house.registry.add_device("alice", "watch", house.now_us)
    assert house.gate.refresh() == frozenset()
    house.grants('["bob"]')
    house.grants("[]", "other")
    house.registry.remove_device("alice", "watch", house.now_us)
    evictor = Evictor("alice-watch")
    await watched(house.gate, evictor, lambda _: evictor.evicted and evictor.narrowed)
    assert evictor.evicted == ["other"]


def test_a_file_of_logins_of_an_earlier_release_is_read(house: House) -> None:
    file = house.root / "hook-logins.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(f"{json.dumps(line[:5])}\n" for line in lines))
    assert house.start().refresh() == frozenset()
    house.grants('["bob"]')
    assert house.start().refresh() == {"app"}, "whom it let in is not known: it goes whole"


# -- what each broker is asked


@contextmanager
def management(answers: dict[str, object]) -> Iterator[tuple[str, list[str]]]:
    """A management interface with an answer to some questions, 404 to the others; its URL, and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            asked.append(f"{self.command} {self.path}{f' {sent}' if sent else ''}")
            answer = answers.get(f"{self.command} {self.path.partition('?')[0]}")
            body = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_DELETE = do_POST = do_GET  # noqa: N815  # the names are http.server's

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


def may(topic: str) -> bool:
    return topic.startswith("users/bob/")


def kept_at_rabbitmq(waiting: list[dict[str, object]]) -> tuple[bool, list[str]]:
    queue = "/api/queues/%2F/mqtt-subscription-appqos1"
    answers: dict[str, object] = {
        f"GET {queue}/bindings": [
            {"source": "", "routing_key": "mqtt-subscription-appqos1", "properties_key": "mqtt-subscription-appqos1"},
            *(
                {
                    "source": "amq.topic",
                    "routing_key": f"users.{user}.canonical.*",
                    "properties_key": f"users.{user}.canonical.%2A",
                }
                for user in ("alice", "bob")
            ),
        ],
        f"POST {queue}/get": waiting,
    }
    with management(answers) as (url, asked):
        kept = RabbitEvictor(Management.at(url, "u", "p")).narrow("app", may)
    return kept, [each for each in asked if each.startswith("DELETE")]


UNBOUND = "DELETE /api/bindings/%2F/e/amq.topic/q/mqtt-subscription-appqos1/users.alice.canonical.%2A"
CLOSED = "DELETE /api/connections/username/app"


def test_rabbitmq_takes_the_topics_from_the_queue_and_keeps_what_waits_in_it() -> None:
    waiting: list[dict[str, object]] = [{"routing_key": "users.bob.canonical.steps", "message_count": 0}]
    assert kept_at_rabbitmq(waiting) == (True, [UNBOUND, CLOSED])


@pytest.mark.parametrize(
    "waiting",
    [
        [{"routing_key": f"users.{user}.canonical.steps", "message_count": 0} for user in ("bob", "alice")],
        [{"routing_key": "users.bob.canonical.steps", "message_count": 1}],
    ],
    ids=["one that may not go out", "more than is looked at"],
)
def test_rabbitmq_deletes_a_queue_with_what_may_not_go_out(waiting: list[dict[str, object]]) -> None:
    kept, deleted = kept_at_rabbitmq(waiting)
    assert not kept
    assert deleted == [UNBOUND, CLOSED, "DELETE /api/queues/%2F/mqtt-subscription-appqos1"]


def kept_at_emqx(**queues: object) -> tuple[bool, list[str]]:
    client = "/api/v5/clients/app"
    answers = {f"GET {client}/subscriptions": [{"topic": f"users/{user}/canonical/+"} for user in ("alice", "bob")]}
    answers |= {f"GET {client}/{name}_messages": {"data": waiting} for name, waiting in queues.items()}  # type: ignore[misc]
    with management(answers) as (url, asked):
        kept = EmqxEvictor(Management.at(url, "u", "p")).narrow("app", may)
    return kept, [each for each in asked if not each.startswith("GET")]


LEFT = 'POST /api/v5/clients/app/unsubscribe {"topic": "users/alice/canonical/+"}'
KICKED = "DELETE /api/v5/clients/app"


@pytest.mark.parametrize(
    ("queues", "kept"),
    [
        ({"mqueue": [{"topic": BOB}], "inflight": []}, True),
        ({"mqueue": [{"topic": BOB}], "inflight": [{"topic": ALICE}]}, False),
        ({"mqueue": [{"topic": BOB}] * 1_000, "inflight": []}, False),
        ({}, False),
    ],
    ids=["nothing else waits", "one that may not go out", "more than is looked at", "an EMQX that does not say"],
)
def test_emqx_unsubscribes_it_and_kicks_it_only_for_what_waits(queues: dict[str, object], kept: bool) -> None:
    assert kept_at_emqx(**queues) == (kept, [LEFT] if kept else [LEFT, KICKED])


def test_who_has_no_session_at_the_broker_costs_one_question() -> None:
    with management({}) as (url, asked):
        assert EmqxEvictor(Management.at(url, "u", "p")).narrow("app", may)
        assert RabbitEvictor(Management.at(url, "u", "p")).narrow("app", may)
    assert not [each for each in asked if "/bindings/" in each or each == KICKED]
