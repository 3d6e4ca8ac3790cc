"""How providers are asked to tell us of news: what is missing is asked for, what is there left, what ends renewed."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from healthsync_mqtt.adapters.ready_adapters import HookSettings, ReadyAdapter
from healthsync_mqtt.adapters.signatures import is_keyset
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.adapters.worker import AdapterWorker
from healthsync_mqtt.cloud_links.flights import Flights
from healthsync_mqtt.cloud_links.inbox import HookSecrets
from tests.support.clouds import answer
from tests.unit.adapters.test_fetch import Rig

PUBLIC = HookSettings(public_url="https://health.example.org", keys_url="https://keys.example/set")
DAY_US = 86_400_000_000


@dataclass
class Hooks:
    """A provider's side of subscriptions; all else goes to the scripted cloud."""

    reply: Callable[[str, str, dict[str, Any]], CloudAnswer | None]
    behind: Any
    log: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, request: CloudRequest) -> CloudAnswer:
        there = urlsplit(request.url)
        said = dict(parse_qsl(there.query))
        if request.body:
            kind = request.headers.get("Content-Type", "")
            said |= json.loads(request.body) if "json" in kind else dict(parse_qsl(request.body.decode()))
        found = self.reply(request.method, there.path, said)
        if found is None:
            return self.behind.ask(request)  # type: ignore[no-any-return]
        self.log.append((request.method, there.path))
        return found


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[..., tuple[Rig, Hooks]]]:
    made: list[Rig] = []

    def make(provider: str, reply: Any) -> tuple[Rig, Hooks]:
        here = Rig(tmp_path, provider)
        made.append(here)
        here.ready = replace(here.ready, hooks=PUBLIC)
        here.link()
        here.sync()
        hooks = Hooks(reply, here.cloud)
        here.cloud = hooks  # type: ignore[assignment]
        return here, hooks

    yield make
    for each in made:
        each.close()


def look(here: Rig) -> None:
    """One look of a worker that has just begun, with turns of its own: each look is a loop of its own here."""

    async def once(worker: AdapterWorker) -> None:
        async with asyncio.TaskGroup() as group:
            worker.look(group)

    with contextlib.closing(Flights(here.data)) as flights:
        asyncio.run(once(here.new_worker(flights=flights)))


def known(here: Rig) -> HookSecrets:
    return here.inbox.secrets(here.provider)


def hint(here: Rig) -> str:
    return here.inbox.standings()[0].hint


class Oura:
    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.ends = "2027-02-04T10:31:57.742499+00:00"
        self.gone: set[str] = set()

    def __call__(self, method: str, path: str, said: dict[str, Any]) -> CloudAnswer | None:
        if "/webhook/" not in path:
            return None
        if method == "GET":
            return answer(200, list(self.there.values()))
        if method == "PUT":
            name = path.rpartition("/")[2]
            if name in self.gone:
                return answer(403, {"detail": "Subscription does not exist"})
            self.there[name]["expiration_time"] = self.ends
            return answer(200, self.there[name])
        name = f"s{len(self.there)}"
        self.there[name] = {"id": name, "expiration_time": self.ends, **said}
        return answer(201, self.there[name])


def test_oura_is_asked_once_for_each_and_renewed_before_it_ends(rig: Callable[..., tuple[Rig, Hooks]]) -> None:
    oura = Oura()
    here, hooks = rig("oura", oura)
    look(here)
    assert len(oura.there) == 27
    first = oura.there["s0"]
    assert first["callback_url"] == "https://health.example.org/v1/hooks/oura"
    assert first["verification_token"] == known(here).word
    look(here)
    assert [method for method, _ in hooks.log].count("GET") == 1, "once a day"
    here.now_us += DAY_US + 1
    look(here)
    assert [method for method, _ in hooks.log].count("POST") == 27, "what is there is left alone"
    oura.there["s0"]["expiration_time"] = oura.there["s1"]["expiration_time"] = "2026-11-25T00:00:00+00:00"
    oura.gone.add("s1")
    here.now_us += DAY_US + 1
    look(here)
    assert [each for each in hooks.log if each[0] == "PUT"] == [
        ("PUT", "/v2/webhook/subscription/renew/s0"),
        ("PUT", "/v2/webhook/subscription/renew/s1"),
    ]
    assert (oura.there["s0"]["expiration_time"], len(oura.there)) == (oura.ends, 28)
    assert hint(here) == ""


def test_strava_has_one_and_one_of_an_address_of_before_is_taken_away(rig: Callable[..., tuple[Rig, Hooks]]) -> None:
    there: list[dict[str, Any]] = [{"id": 1, "callback_url": "https://old.example/v1/hooks/strava"}]

    def reply(method: str, path: str, said: dict[str, Any]) -> CloudAnswer | None:
        if "push_subscriptions" not in path:
            return None
        if method == "GET":
            return answer(200, list(there))
        if method == "DELETE":
            there.clear()
            return answer(204, None)
        there.append({"id": 120475, "callback_url": said["callback_url"]})
        return answer(200, {"id": 120475})

    here, hooks = rig("strava", reply)
    look(here)
    assert hooks.log[-3:] == [
        ("GET", "/api/v3/push_subscriptions"),
        ("DELETE", "/api/v3/push_subscriptions/1"),
        ("POST", "/api/v3/push_subscriptions"),
    ]
    assert known(here).subscription == "120475"


def test_withings_is_asked_for_each_user_for_what_it_forgot(rig: Callable[..., tuple[Rig, Hooks]]) -> None:
    there: list[dict[str, str]] = []
    refuses: list[int] = []

    def reply(_method: str, path: str, said: dict[str, Any]) -> CloudAnswer | None:
        if path != "/notify":
            return None
        if said["action"] == "list":
            return answer(200, {"status": 0, "body": {"profiles": there}})
        if refuses:
            return answer(200, {"status": refuses[0], "body": {}})
        there.append({"appli": said["appli"], "callbackurl": said["callbackurl"]})
        return answer(200, {"status": 0, "body": {}})

    here, hooks = rig("withings", reply)
    look(here)
    assert [each["appli"] for each in there] == ["1", "2", "4", "16", "44", "54", "58", "46"]
    assert there[0]["callbackurl"] == f"https://health.example.org/v1/hooks/withings/{known(here).word}"
    del there[3]
    asked = len(hooks.log)
    here.now_us += DAY_US + 1
    here.cloud.behind.expire()  # type: ignore[attr-defined]  # the token is renewed for it
    look(here)
    assert (len(hooks.log), there[-1]["appli"]) == (asked + 2, "16")
    there.clear()
    refuses.append(293)
    here.now_us += DAY_US + 1
    look(here)
    assert "443" in hint(here)
    assert here.sync()["state"] == "ok", "polling goes on"


def test_googles_keys_are_read_daily_and_what_is_none_replaces_none(rig: Callable[..., tuple[Rig, Hooks]]) -> None:
    value = "EgYIAxACGAIaIQCC//Le0KtgsGaWgdCXqj50SRgOLV8fi8FB4f727DvSRCIhALI2f+oEZ6azJ1Dxr+6jN94vGSjOo/iJ5KWh6oIgKXHL"
    keys: list[Any] = [{"key": [{"keyData": {"value": value}, "status": "ENABLED", "keyId": 1}]}]

    def reply(_method: str, path: str, _said: dict[str, Any]) -> CloudAnswer | None:
        return answer(200, keys[0]) if path == "/set" else None

    here, _ = rig("google_health", reply)
    look(here)
    assert is_keyset(known(here).keys.encode())
    kept = known(here).keys
    keys[0] = {"key": []}
    here.now_us += DAY_US + 1
    look(here)
    assert (known(here).keys, "keys" in hint(here)) == (kept, True)


def test_without_a_public_address_nobody_is_asked(rig: Callable[..., tuple[Rig, Hooks]]) -> None:
    here, hooks = rig("oura", Oura())
    here.ready = ReadyAdapter(here.ready.adapter, here.ready.cloud, here.ready.client)
    look(here)
    assert hooks.log == []


def test_a_provider_that_fails_is_asked_again_within_the_hour(rig: Callable[..., tuple[Rig, Hooks]]) -> None:
    oura = Oura()
    broken: list[CloudAnswer] = [CloudAnswer(status=503)]

    def reply(method: str, path: str, said: dict[str, Any]) -> CloudAnswer | None:
        return broken.pop() if broken and "/webhook/" in path else oura(method, path, said)

    here, _ = rig("oura", reply)
    look(here)
    assert (oura.there, "503" in hint(here)) == ({}, True)
    here.now_us += 3_600_000_001
    look(here)
    assert (len(oura.there), hint(here)) == (27, "")


class OneHook:
    """A provider with a list of subscriptions by their ids."""

    def __init__(self, wraps: Callable[[list[dict[str, Any]]], Any], url: str) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.keeps = False
        self._wraps = wraps
        self._url = url

    def __call__(self, method: str, path: str, said: dict[str, Any]) -> CloudAnswer | None:
        if not any(each in path for each in ("/webhook", "push_subscriptions")):
            return None
        if method == "GET":
            return answer(200, self._wraps(list(self.there.values())))
        if method == "DELETE" and self.keeps:
            return answer(500, None)
        if method == "DELETE":
            return answer(204 if self.there.pop(path.rpartition("/")[2], None) else 404, None)
        name = str(len(self.there) + 1)
        self.there[name] = {"id": name, self._url: said[self._url], "signature_secret_key": "k", **said}
        return answer(201, {"data": self.there[name], **self.there[name]})


hooked = pytest.mark.parametrize(
    ("provider", "wraps", "url", "first"),
    [
        ("strava", list, "callback_url", 1),
        ("polar", lambda several: {"data": several}, "url", 1),
        ("oura", list, "callback_url", 27),
    ],
)


@hooked
def test_who_nobody_is_linked_to_any_more_is_asked_to_send_no_more(
    rig: Callable[..., tuple[Rig, Hooks]], provider: str, wraps: Any, url: str, first: int
) -> None:
    there = OneHook(wraps, url)
    here, hooks = rig(provider, there)
    look(here)
    assert (len(there.there), hint(here)) == (first, "")
    here.book.leave(here.book.of("ann", provider).id)
    look(here)
    here.now_us += DAY_US + 1
    look(here)
    assert there.there == {}
    asked = len(hooks.log)
    here.now_us += DAY_US + 1
    look(here)
    assert len(hooks.log) == asked


@hooked
def test_who_goes_on_sending_is_said_and_asked_again_within_the_hour(
    rig: Callable[..., tuple[Rig, Hooks]], provider: str, wraps: Any, url: str, first: int
) -> None:
    there = OneHook(wraps, url)
    here, _ = rig(provider, there)
    look(here)
    here.book.leave(here.book.of("ann", provider).id)
    look(here)
    there.keeps = True
    here.now_us += DAY_US + 1
    look(here)
    assert (len(there.there), "away (HTTP 500)" in hint(here)) == (first, True)
    there.keeps = False
    here.now_us += 3_600_000_001
    look(here)
    assert (there.there, hint(here)) == ({}, "")
