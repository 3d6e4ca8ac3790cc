"""Webhooks of subscribers: what is posted, what comes again, and when it is given up."""

import asyncio
import base64
import hmac
import itertools
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.config.file_turn import FileTurn
from healthsync_mqtt.gateway.connections.public_https import PostAnswer
from healthsync_mqtt.gateway.jobs import deliveries
from healthsync_mqtt.gateway.jobs.deliveries import AGAIN_S, GIVEN_UP_S, Deliveries
from healthsync_mqtt.identity.people.webhooks import Webhook, WebhookBook
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.testing.log_items import item
from tests.support.commands import invoke
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.loopback import served
from tests.support.patience import PATIENCE_S, until, wait_until

NOW_US = 1_790_000_000_000_000


@dataclass
class Receiver:
    """A server that notes what is posted to it, and answers as it is told to."""

    statuses: list[int] = field(default_factory=list)
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    answers: threading.Event = field(default_factory=threading.Event)
    """Until it is set, nothing is answered."""

    @property
    def ids(self) -> list[str]:
        """Of the events in posts that were taken, and in those that were not."""
        return [each["id"] for _, body in self.posts for each in json.loads(body)["data"].get("events", ())]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    made.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the standard library's name
            body = self.rfile.read(int(self.headers["content-length"]))
            made.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
            assert made.answers.wait(PATIENCE_S)
            self.send_response(made.statuses.pop(0) if made.statuses else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with served(Handler) as url:
        made.url = f"{url}/hook"
        yield made


@dataclass
class Scene:
    here: GatewayHere
    receiver: Receiver
    log: Any

    def cli(self, *words: str) -> dict[str, Any]:
        done = invoke([*words, "--data", str(self.here.place.path), "--json"])
        assert done.exit_code == 0, done.output
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def store(self, *names: str, user: str = "alice", kind: str = "heart_rate") -> None:
        self.log.stage([item(name, user, event_type=kind) for name in names], [], NOW_US)
        self.log.commit()

    def webhook(self) -> Webhook:
        with self.here.registry() as registry:
            return registry.webhooks.of("board")

    def added(self) -> str:
        """A webhook; its secret."""
        secret: str = self.cli("webhook", "add", "board", "reader", self.receiver.url)["secret"]
        return secret


@pytest.fixture
def scene(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(deliveries, "AGAIN_S", (0.01,))
    monkeypatch.setattr(deliveries, "_LOOK_S", 0.02)
    data = tmp_path / "data"
    filled(data, ["alice", "bob"], [item("old")])
    (data / "healthsync.toml").write_text('[gateway]\nwebhook_hosts = ["127.0.0.1"]\n')
    with open_log(data) as log, gateway_here(data) as here:
        here.subscriber("reader", ["alice"], "*")
        yield Scene(here, receiver, log)


def test_what_is_stored_from_now_on_is_posted_signed_and_in_order(scene: Scene) -> None:
    secret = scene.added()
    scene.store("a", "b")
    scene.store("not-hers", user="bob")
    scene.store("c")
    wait_until(lambda: len(scene.receiver.ids) >= 3)
    assert scene.receiver.ids == ["a", "b", "c"]
    headers, body = scene.receiver.posts[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert headers["webhook-signature"] == expected
    [first, *_] = json.loads(body)["data"]["events"]
    assert (first["user_id"], first["seq"]) == ("alice", 2)
    wait_until(lambda: scene.webhook().said == "taken")
    assert scene.webhook().delivered_us is not None


@pytest.mark.parametrize("by", ["command", "request"])
def test_it_begins_where_the_log_was_when_it_was_added_and_not_when_it_is_first_looked_at(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(deliveries, "_LOOK_S", 1.0)  # what is stored in between was lost
    if by == "command":
        scene.added()
    else:
        asked = {"name": "board", "subscriber": "reader", "url": scene.receiver.url}
        assert scene.here.admin().post("/v1/webhooks", asked).status == 200
    scene.store("a")
    wait_until(lambda: scene.receiver.ids == ["a"])


def test_a_delivery_that_ends_while_it_is_looked_is_not_made_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that read its row of before, and goes by it after the delivery has written down how far it has come."""
    house, receiver, every = scene.here.house, scene.receiver, WebhookBook.all

    def slowly(book: WebhookBook) -> list[Webhook]:
        rows = every(book)
        if receiver.posts and not receiver.answers.is_set():
            receiver.answers.set()
            wait_until(lambda: house.deliveries.delivered == 1 and not house.deliveries._busy)
        return rows

    scene.added()
    receiver.answers.clear()
    monkeypatch.setattr(WebhookBook, "all", slowly)
    scene.store("a")
    wait_until(lambda: house.deliveries.delivered == 1)
    scene.store("b")
    wait_until(lambda: "b" in receiver.ids)
    assert receiver.ids == ["a", "b"]


def test_nothing_is_asked_for_a_webhook_that_is_not_behind(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.added()
    scene.store("a")
    deliveries_here = scene.here.house.deliveries
    wait_until(lambda: deliveries_here.delivered == 1 and not deliveries_here._busy)
    wait_until(lambda: deliveries_here.told()[0]["lag"] == 0)
    begun: list[str] = []
    serve, look = Deliveries._serve, Deliveries._look
    looks = itertools.count()
    looked = 0

    async def served(here: Deliveries, webhook: Webhook) -> None:
        begun.append(webhook.name)
        await serve(here, webhook)

    async def noted(here: Deliveries) -> None:
        nonlocal looked
        await look(here)
        looked = next(looks)

    monkeypatch.setattr(Deliveries, "_serve", served)
    monkeypatch.setattr(Deliveries, "_look", noted)
    wait_until(lambda: looked > 3)
    assert begun == []
    scene.store("b")
    wait_until(lambda: scene.receiver.ids == ["a", "b"])


def test_how_far_it_is_behind_is_told(scene: Scene) -> None:
    scene.receiver.statuses += [500] * 1_000_000
    scene.added()
    scene.store("a", "b")
    scene.store("not-hers", user="bob")
    told = scene.here.house.deliveries.told
    wait_until(lambda: told() and told()[0]["failures"] > 0)
    assert (told()[0]["webhook"], told()[0]["lag"], told()[0]["disabled"]) == ("board", 3, False)
    scene.receiver.statuses.clear()
    wait_until(lambda: told()[0] == {"webhook": "board", "lag": 0, "failures": 0, "disabled": False})


def test_what_was_not_taken_comes_again_and_is_visible(scene: Scene) -> None:
    scene.receiver.statuses += [500, 302, 503]
    scene.added()
    scene.store("a")
    wait_until(lambda: scene.webhook().said == "taken")
    assert scene.receiver.ids == ["a"] * 4
    assert len({headers["webhook-id"] for headers, _ in scene.receiver.posts}) == 1
    assert (scene.webhook().failures, scene.webhook().failing_us) == (0, None)


def test_what_fails_for_days_is_disabled_and_goes_on_where_it_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "GIVEN_UP_S", 0)
    scene.receiver.statuses += [500]
    scene.added()
    scene.store("a")
    wait_until(lambda: scene.webhook().disabled_us is not None)
    assert scene.cli("webhook", "show", "board")["state"] == "disabled"
    assert scene.cli("webhook", "show", "board")["said"] == "answered 500"
    scene.store("b")
    assert scene.receiver.ids == ["a"]
    assert scene.cli("webhook", "enable", "board")["state"] == "enabled"
    wait_until(lambda: scene.webhook().said == "taken")
    assert scene.receiver.ids == ["a", "a", "b"]


def test_who_says_gone_is_asked_no_more(scene: Scene) -> None:
    scene.receiver.statuses += [410]
    scene.added()
    scene.store("a")
    wait_until(lambda: scene.webhook().disabled_us is not None)
    assert scene.webhook().said == "answered 410"


def test_what_a_user_does_not_share_any_more_is_posted_nowhere(scene: Scene) -> None:
    scene.added()
    with scene.here.registry() as registry:
        registry.consent.withdraw("alice", ["steps"], NOW_US + 1)
    wait_until(lambda: not scene.here.house.shares._share["alice"].span("steps").until_us)
    scene.store("walk", kind="steps")
    scene.store("beat")
    wait_until(lambda: scene.receiver.ids == ["beat"])


def test_both_secrets_sign_for_a_day_and_a_test_is_signed_too(scene: Scene) -> None:
    scene.added()
    scene.cli("webhook", "rotate", "board")
    assert scene.cli("webhook", "test", "board")["taken"] is True
    headers, body = scene.receiver.posts[0]
    assert headers["webhook-signature"].count("v1,") == 2
    assert json.loads(body)["type"] == "test"
    assert {"webhook.added", "webhook.rotated", "webhook.tested"} <= set(scene.here.audited())


def test_a_removed_subscriber_has_no_webhook(scene: Scene) -> None:
    scene.added()
    with scene.here.registry() as registry:
        registry.remove_subscriber("reader", NOW_US)
        assert registry.webhooks.all() == []


def test_a_host_that_the_operator_names_may_be_anywhere(scene: Scene) -> None:
    for url in ("http://10.0.0.7/", "http://example.org/", "https://user@example.org/"):
        words = ["webhook", "add", "other", "reader", url, "--data", str(scene.here.place.path)]
        refused = invoke(words)
        assert refused.exit_code != 0, url
    assert scene.cli("webhook", "add", "other", "reader", scene.receiver.url)["state"] == "enabled"


def test_a_webhook_of_a_subscribers_own_ends_with_its_tokens(scene: Scene) -> None:
    with scene.here.registry() as registry:
        [reader] = [each for each in registry.subscribers() if each.name == "reader"]
        with open_reader(scene.here.place.path) as log:
            place: Any = {"epoch": log.epoch, "seq": log.head(), "holder_epoch": reader.token_epoch}
        registry.webhooks.add("board", "reader", scene.receiver.url, NOW_US, **place)
    scene.store("a")
    wait_until(lambda: scene.receiver.ids == ["a"])
    with scene.here.registry() as registry:
        registry.revocation.revoke_subscriber_tokens("reader")
    wait_until(lambda: scene.here.house.directory.entry(Role.subscriber, "reader", None).epoch != reader.token_epoch)
    scene.store("b")
    wait_until(lambda: scene.webhook().disabled_us is not None)
    assert "revoked" in scene.webhook().said
    assert scene.receiver.ids == ["a"]
    scene.cli("webhook", "enable", "board")  # an admin takes it on
    wait_until(lambda: scene.receiver.ids == ["a", "b"])
    assert scene.webhook().holder_epoch is None


DAY_S = 86_400


class Failing:
    """A webhook whose deliveries fail, by a clock that is turned by hand."""

    def __init__(self, book: WebhookBook, lock: Path) -> None:
        self.now_us = NOW_US
        self._book = book
        parts: Any = dict.fromkeys(("directory", "log_pool", "shares"))
        parts |= {"book": book, "turn": FileTurn(lock), "clock_us": lambda: self.now_us}
        self._deliveries = Deliveries(**parts, secret=str, named=())

    async def fail(self, said: PostAnswer | str = "no answer in time") -> Webhook:
        """It as it is written down afterwards."""
        await self._deliveries._failed(self._book.of("board"), said)
        return self._book.of("board")

    def waited_s(self) -> float:
        """How long it waits now."""
        return (self._book.of("board").due_us - self.now_us) / 1_000_000


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Failing]:
    data = tmp_path / "data"
    filled(data, ["alice"], [])
    with DataDirectory(data).registry() as registry:
        registry.add_subscriber("reader", ["alice"], "*", NOW_US)
        registry.webhooks.add("board", "reader", "https://example.org/", NOW_US, epoch="e", seq=0, holder_epoch=None)
        yield Failing(registry.webhooks, tmp_path / "webhooks.lock")


async def test_it_is_tried_again_later_and_later(failing: Failing) -> None:
    spread = set()
    for number in range(len(AGAIN_S) + 3):
        webhook = await failing.fail()
        usual_s = AGAIN_S[min(number, len(AGAIN_S) - 1)]
        assert usual_s <= failing.waited_s() <= usual_s * 1.2, number
        assert (webhook.failures, webhook.disabled_us, webhook.failing_us) == (number + 1, None, NOW_US)
        spread.add(failing.waited_s() / usual_s)
        failing.now_us = webhook.due_us
    assert AGAIN_S[-1] >= 3_600
    assert len(spread) > 1, "those that failed together do not come back together"


@pytest.mark.parametrize(
    ("said_s", "least_s", "most_s"),
    [(7_200.0, 7_200.0, 7_200.0), (1.0, 5.0, 6.0), (10.0 * DAY_S, DAY_S, DAY_S), (None, 5.0, 6.0)],
)
async def test_retry_after_wins_where_it_is_longer_and_is_a_day_at_most(
    failing: Failing, said_s: float | None, least_s: float, most_s: float
) -> None:
    webhook = await failing.fail(PostAnswer(503, said_s))
    assert least_s <= failing.waited_s() <= most_s
    assert webhook.said == "answered 503"


async def test_it_is_disabled_after_three_days_and_not_before(failing: Failing) -> None:
    assert GIVEN_UP_S == 3 * DAY_S
    await failing.fail()
    failing.now_us = NOW_US + GIVEN_UP_S * 1_000_000 - 1
    assert (await failing.fail()).disabled_us is None
    failing.now_us += 1
    assert (await failing.fail()).disabled_us == failing.now_us


async def test_a_lock_that_cannot_be_had_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "_LOOK_S", 0.001)
    lock = tmp_path / "nowhere" / "webhooks.lock"
    parts: Any = dict.fromkeys(("book", "directory", "log_pool", "shares"))
    waiting = Deliveries(**parts, secret=str, turn=FileTurn(lock), named=())
    looked: list[int] = []
    monkeypatch.setattr(waiting, "_look", _noted(looked))
    running = asyncio.create_task(waiting.run())
    await asyncio.sleep(0)
    assert not running.done()
    lock.parent.mkdir()
    await until(lambda: looked)
    other = Deliveries(**parts, secret=str, turn=FileTurn(lock), named=())
    others: list[int] = []
    monkeypatch.setattr(other, "_look", _noted(others))
    following = asyncio.create_task(other.run())
    before = len(looked)
    await until(lambda: len(looked) > before + 3)
    assert others == [], "two would deliver at once"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await until(lambda: others)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def _noted(looked: list[int]) -> Callable[[], Awaitable[None]]:
    async def look() -> None:
        looked.append(1)

    return look
