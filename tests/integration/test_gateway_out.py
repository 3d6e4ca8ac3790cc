"""Events out of the gateway: pages, single events, changes, live streams; for whom they are, and for nobody else."""

import asyncio
import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from healthsync_mqtt.client import ChangeReader
from tests.support.gateway import Browser
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import Service
from tests.support.web import Web, basic


def event(name: str, bpm: float = 70, **more: Any) -> dict[str, Any]:
    return {
        "id": name, "type": "heart_rate", "start_time": "2026-11-23T06:00:00Z", "value": {"bpm": bpm},
    } | more  # fmt: skip


def steps(name: str, day: int) -> dict[str, Any]:
    start, end = f"2026-11-{day:02}T06:00:00Z", f"2026-11-{day:02}T06:10:00Z"
    return {"id": name, "type": "steps", "start_time": start, "end_time": end, "value": {"steps": 412}}


@dataclass
class Scene:
    service: Service
    web: Web
    tokens: dict[str, str]

    def by(self, name: str) -> Web:
        return self.web.as_(self.tokens[name])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    data = tmp_path_factory.mktemp("gateway-out") / "data"
    with Service(data, "--http-port", "0") as service:
        for user in ("alice", "bob", "123"):
            service.cli("user", "add", user, "--consent", "all")
        tokens = {
            "alice": service.cli("device", "add", "alice", "watch")[0]["token"],
            "bob": service.cli("device", "add", "bob", "watch")[0]["token"],
            "123": service.cli("device", "add", "123", "phone")[0]["token"],
            "reader": service.cli("subscriber", "add", "reader", "--users", "alice", "--types", "*")[0]["token"],
            "walker": service.cli("subscriber", "add", "walker", "--users", "alice", "--types", "steps")[0]["token"],
            "every": service.cli("subscriber", "add", "every", "--users", "*", "--types", "*")[0]["token"],
        }
        made = service.cli("app", "add", "alice", "nightscout", "--format", "nightscout")[0]
        tokens["app"] = basic(made["username"], made["password"])
        found = Scene(service, Web(service.ready["http"], service.ca_file), tokens)
        batch = [event(f"h-{number}", 60 + number) for number in range(7)] + [steps("s-1", 23), steps("s-2", 24)]
        assert found.by("alice").post("/v1/events", batch).json()["stored"] == 9
        assert found.by("bob").post("/v1/events", [event("b-1")]).json()["stored"] == 1
        yield found


def ids(answer: Any) -> list[str]:
    return [each["id"] for each in answer["events"]]


def test_a_page_of_events_and_the_next_one(scene: Scene) -> None:
    reader = scene.by("reader")
    first = reader.get("/v1/users/alice/events?type=heart_rate&limit=5")
    assert first.status == 200, first.body
    assert ids(first.json()) == [f"h-{number}" for number in range(5)]
    found = first.json()["events"][0]
    assert (found["user_id"], found["device_id"], found["value"], found["seq"]) == ("alice", "watch", {"bpm": 60}, 1)
    second = reader.get(f"/v1/users/alice/events?type=hr&limit=5&cursor={first.json()['next']}").json()
    assert (ids(second), second["next"]) == (["h-5", "h-6"], None)
    assert ids(reader.get("/v1/users/alice/events?type=heart_rate&limit=100").json())[-1] == "h-6"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("since=2026-11-24T00:00:00Z", ["s-2"]),
        ("type=steps&until=2026-11-24T00:00:00Z", ["s-1"]),
        ("device=nobody", []),
        ("type=steps&device=watch", ["s-1", "s-2"]),
    ],
)
def test_events_are_chosen_by_time_type_and_device(scene: Scene, query: str, expected: list[str]) -> None:
    assert ids(scene.by("reader").get(f"/v1/users/alice/events?{query}").json()) == expected


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("type=mood_of_the_cat", "unknown_type"),
        ("since=2026-11-24T00:00:00", "bad_time"),
        ("since=yesterday", "bad_time"),
        ("limit=0", "bad_input"),
        ("limit=1001", "bad_input"),
        ("cursor=abc", "bad_cursor"),
        ("cursor=" + base64.urlsafe_b64encode(bytes(16)).decode(), "bad_cursor"),
    ],
)
def test_what_cannot_be_meant_is_said(scene: Scene, query: str, reason: str) -> None:
    answer = scene.by("reader").get(f"/v1/users/alice/events?{query}")
    assert (answer.status, answer.json()["reason"]) == (400, reason)
    assert answer.json()["hint"]


def test_a_cursor_is_good_for_its_own_list_only(scene: Scene) -> None:
    cursor = scene.by("every").get("/v1/users/alice/events?limit=1").json()["next"]
    assert scene.by("every").get(f"/v1/users/bob/events?cursor={cursor}").status == 400


def test_what_has_not_changed_is_not_sent_again(scene: Scene) -> None:
    first = scene.by("reader").get("/v1/users/alice/events")
    again = scene.by("reader").get("/v1/users/alice/events", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert "private" in first.headers["cache-control"]


def test_lines_and_csv(scene: Scene) -> None:
    lines = scene.by("reader").get("/v1/users/alice/events?limit=2", accept="application/x-ndjson")
    assert [json.loads(line)["id"] for line in lines.body.splitlines()] == ["h-0", "h-1"]
    assert 'rel="next"' in lines.headers["link"]
    following = lines.headers["link"].partition("<")[2].partition(">")[0]
    rest = scene.by("reader").get(following, accept="application/x-ndjson")
    assert json.loads(rest.body.splitlines()[0])["id"] == "h-2"
    table = scene.by("reader").get("/v1/users/alice/events?limit=1", accept="text/csv").body.decode()
    assert table.splitlines()[0].startswith("seq,id,user_id")
    assert '"{""bpm"":60}"' in table
    assert scene.by("reader").get("/v1/users/alice/events", accept="image/png").status == 406


def test_an_event_with_its_history(scene: Scene) -> None:
    name = "k/1 ?"
    alice = scene.by("alice")
    for version, bpm in ((0, 50), (1, 55)):
        alice.post("/v1/events", [event(name, bpm, version=version)])
    found = scene.by("reader").get(f"/v1/users/alice/events/{quote(name, safe='')}").json()
    assert found["event"]["value"] == {"bpm": 55}
    assert [each["value"] for each in found["history"]] == [{"bpm": 50}]
    assert scene.by("reader").get("/v1/users/alice/events/none").status == 404


READABLE = ["/v1/users/bob/events", "/v1/users/bob/events/b-1", "/v1/users/nobody/events", "/events/bob"]


@pytest.mark.parametrize("path", READABLE)
@pytest.mark.parametrize("caller", ["alice", "reader", "walker", "app", "123"])
def test_what_is_somebody_elses_does_not_exist(scene: Scene, caller: str, path: str) -> None:
    foreign, absent = scene.by(caller).get(path), scene.by(caller).get("/v1/users/nobody/events")
    assert foreign.status == absent.status == 404
    assert foreign.json() | {"request_id": ""} == absent.json() | {"request_id": ""}


def test_an_app_reads_nothing(scene: Scene) -> None:
    assert scene.by("app").get("/v1/users/alice/events").status == 404


def test_a_subscriber_reads_its_types_only(scene: Scene) -> None:
    assert ids(scene.by("walker").get("/v1/users/alice/events").json()) == ["s-1", "s-2"]
    assert scene.by("walker").get("/v1/users/alice/events/h-1").status == 404
    assert scene.by("walker").get("/v1/users/alice/events?type=heart_rate").json()["events"] == []


def test_consent_that_is_withdrawn_closes_the_list(scene: Scene) -> None:
    scene.service.cli("user", "add", "dora", "--consent", "all")
    token = scene.service.cli("device", "add", "dora", "watch")[0]["token"]
    scene.web.as_(token).post("/v1/events", [event("d-1")])
    every = scene.by("every")
    wait_until(lambda: ids(every.get("/v1/users/dora/events").json()) == ["d-1"])
    scene.service.cli("consent", "withdraw", "dora", "--purpose", "share", "--yes")
    wait_until(lambda: ids(every.get("/v1/users/dora/events").json()) == [])
    assert ids(scene.web.as_(token).get("/v1/users/dora/events").json()) == ["d-1"]  # it is her own


def test_changes_go_on_where_they_were(scene: Scene) -> None:
    scene.service.cli("user", "add", "eve", "--consent", "all")
    eve = scene.web.as_(scene.service.cli("device", "add", "eve", "watch")[0]["token"])
    eve.post("/v1/events", [event("e-1"), event("e-2")])
    first = eve.get("/v1/changes").json()
    assert (ids(first), first["more"]) == (["e-1", "e-2"], False)
    eve.post("/v1/events", [{"id": "e-1", "type": "heart_rate", "op": "delete", "version": 1}])
    second = eve.get(f"/v1/changes?since={first['since']}").json()
    assert [(each["id"], each["op"]) for each in second["events"]] == [("e-1", "delete")]
    assert eve.get(f"/v1/changes?since={second['since']}").json()["events"] == []
    assert ids(eve.get("/v1/users/eve/events").json()) == ["e-2"]
    refused = scene.by("bob").get(f"/v1/changes?since={second['since']}")
    assert (refused.status, refused.json()["reason"]) == (400, "token_foreign")
    assert scene.by("bob").get("/v1/changes?since=made-up").json()["reason"] == "bad_token"


def test_a_token_of_changes_is_the_one_of_mqtt_and_expires_with_the_rights(scene: Scene) -> None:
    service, host = scene.service, scene.service.mqtts
    service.cli("user", "add", "mona", "--consent", "all")
    watch = scene.web.as_(service.cli("device", "add", "mona", "watch")[0]["token"])
    stored = watch.post("/v1/events", [event(f"m-{number}") for number in range(5)])
    assert stored.json()["stored"] == 5, stored.json()
    named = service.cli("subscriber", "add", "sync", "--users", "mona", "--types", "heart_rate")[0]
    web = scene.web.as_(named["token"])

    async def over_mqtt(token: str | None) -> tuple[list[str], str]:
        reader = ChangeReader("localhost", host[1], client_id="sync", token=named["token"], ca_file=service.ca_file)
        pages = [page async for page in reader.since(token, user="mona", limit=2)]
        return [each["id"] for page in pages for each in page.events], pages[0].token

    found, token = asyncio.run(over_mqtt(None))
    assert found == [f"m-{number}" for number in range(5)]
    first = web.get(f"/v1/changes?since={token}&limit=1").json()
    assert (ids(first), first["more"]) == (["m-2"], True)
    assert asyncio.run(over_mqtt(first["since"]))[0] == ["m-3", "m-4"]
    every = scene.by("every").get(f"/v1/changes?user=mona&since={first['since']}")
    assert (every.status, every.json()["reason"]) == (410, "token_expired")
    whole = scene.by("every").get("/v1/changes").json()
    assert {"h-0", "b-1", "m-0"} <= set(ids(whole))
    assert scene.by("every").get(f"/v1/changes?since={whole['since']}").json()["events"] == []


def test_the_catalogue_is_for_everybody(scene: Scene) -> None:
    types = {each["name"]: each for each in scene.web.get("/v1/catalogue").json()["types"]}
    assert types["heart_rate"]["fields"][0]["name"] == "bpm"
    assert scene.service.cli("type", "list") == list(types.values())


def test_the_first_api_lists_a_users_events_as_it_had_them(scene: Scene) -> None:
    sent = {
        "id": "client-x-1", "user_id": 123, "type": "steps", "start_time": "2026-11-23T06:00:00Z",
        "end_time": "2026-11-23T06:10:00Z", "value": {"steps": 412, "source": "com.google.android.gms"},
        "device": {"platform": "android", "model": "phone"},
    }  # fmt: skip
    phone = scene.by("123")
    assert phone.post("/sync/events", [sent]).json() == {"received": 1}
    (found,) = phone.get("/events/123").json()
    assert {**found, "start_time": sent["start_time"], "end_time": sent["end_time"]} == sent


def test_the_document_of_the_api_is_the_one_that_is_published(scene: Scene) -> None:
    published = json.loads((Path(__file__).parents[2] / "docs/reference/schemas/openapi.json").read_text())
    assert scene.web.get("/v1/openapi.json").json() == published
    assert published["openapi"] == "3.1.0"
    served = {"/v1/events", "/v1/formats/{format}", "/sync/events", "/v1/users/{user}/events", "/v1/changes"}
    assert served <= set(published["paths"])


class Listener:
    """Reads Server-Sent Events in a thread."""

    def __init__(self, web: Web, path: str = "/v1/stream", **headers: str) -> None:
        self.connection = web.connection()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("GET", path, headers={"authorization": web.authorization} | named)
        self.answer = self.connection.getresponse()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ended = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        name = ""
        with contextlib.suppress(OSError, ValueError):
            for raw in self.answer:
                line = raw.decode().rstrip("\n")
                if line.startswith("id: "):
                    name = line[4:]
                elif line.startswith("data: "):
                    self.events.append((name, json.loads(line[6:])))
        self.ended = True

    def ids(self) -> list[str]:
        return [each["id"] for _, each in self.events]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if self.connection.sock:
                self.connection.sock.shutdown(SHUT_RDWR)
        self.thread.join(PATIENCE_S)
        self.answer.close()
        self.connection.close()


def test_a_stream_brings_events_and_goes_on_behind_the_last(scene: Scene) -> None:
    alice = scene.by("alice")
    listener = Listener(scene.by("reader"))
    assert listener.answer.status == 200
    assert listener.answer.headers["content-type"].startswith("text/event-stream")
    alice.post("/v1/events", [event("live-1"), event("live-2")])
    wait_until(lambda: listener.ids() == ["live-1", "live-2"])
    assert [int(name) for name, _ in listener.events] == [each["seq"] for _, each in listener.events]
    last = listener.events[0][0]
    listener.close()
    alice.post("/v1/events", [event("live-3")])
    again = Listener(scene.by("reader"), last_event_id=last)
    wait_until(lambda: again.ids() == ["live-2", "live-3"])
    again.close()


def test_a_stream_is_chosen_by_type_and_begins_where_it_is_asked_to(scene: Scene) -> None:
    listener = Listener(scene.by("reader"), "/v1/stream?type=steps&from=earliest")
    wait_until(lambda: listener.ids()[:2] == ["s-1", "s-2"])
    listener.close()
    mine = Listener(scene.by("walker"), "/v1/stream?from=earliest")
    wait_until(lambda: mine.ids()[:2] == ["s-1", "s-2"])
    assert {each["type"] for _, each in mine.events} == {"steps"}
    mine.close()


def test_a_stream_of_several_users_resumes_by_a_place_that_tells_no_number(scene: Scene) -> None:
    every = scene.by("every")
    listener = Listener(every)
    scene.by("bob").post("/v1/events", [event("many-1")])
    scene.by("alice").post("/v1/events", [event("many-2")])
    wait_until(lambda: listener.ids() == ["many-1", "many-2"])
    name = listener.events[0][0]
    assert not name.isdigit()
    listener.close()
    again = Listener(every, last_event_id=name)
    wait_until(lambda: again.ids()[:1] == ["many-2"])
    again.close()
    refused = Listener(scene.by("reader"), last_event_id=name)
    assert refused.answer.status == 400
    refused.close()
    assert every.get("/v1/stream?user=bob&from=x").status == 400


def test_a_stream_ends_with_its_login(scene: Scene) -> None:
    made = scene.service.cli("subscriber", "add", "brief", "--users", "alice", "--types", "*")[0]
    listener = Listener(scene.web.as_(made["token"]))
    assert listener.answer.status == 200
    scene.service.cli("subscriber", "remove", "brief", "--yes")
    gone = scene.web.as_(made["token"])
    wait_until(lambda: gone.get("/v1/users/alice/events").status == 401)
    scene.by("alice").post("/v1/events", [event("brief-1")])
    wait_until(lambda: listener.ended)
    assert "brief-1" not in listener.ids()
    listener.close()


def test_a_stream_ends_when_its_token_is_revoked_though_its_holder_stays(scene: Scene) -> None:
    made = scene.service.cli("device", "add", "alice", "tablet")[0]
    listener = Listener(scene.web.as_(made["token"]))
    assert listener.answer.status == 200
    scene.service.cli("token", "revoke", "--user", "alice", "--device", "tablet", "--yes")
    wait_until(lambda: scene.web.as_(made["token"]).get("/v1/users/alice/events").status == 401)
    scene.by("alice").post("/v1/events", [event("tablet-1")])
    wait_until(lambda: listener.ended)
    assert "tablet-1" not in listener.ids()
    listener.close()


def socket(scene: Scene, path: str, token: str | None = None, **more: Any) -> Any:
    import ssl

    url = scene.web.url.replace("https://", "wss://") + path
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    tls = ssl.create_default_context(cafile=scene.web.ca_file)
    return connect(url, ssl=tls, additional_headers=headers, open_timeout=PATIENCE_S, **more)


def test_a_web_socket_brings_the_same(scene: Scene) -> None:
    with socket(scene, "/v1/stream", scene.tokens["reader"]) as stream:
        scene.by("alice").post("/v1/events", [event("ws-1")])
        found = json.loads(stream.recv(PATIENCE_S))
        assert (found["id"], found["user_id"]) == ("ws-1", "alice")
        seq = found["seq"]
    scene.by("alice").post("/v1/events", [event("ws-2")])
    with socket(scene, f"/v1/stream?last_event_id={seq}", scene.tokens["reader"]) as stream:
        assert json.loads(stream.recv(PATIENCE_S))["id"] == "ws-2"


def test_a_browser_says_its_token_as_a_subprotocol(scene: Scene) -> None:
    token = scene.tokens["reader"]
    with socket(scene, "/v1/stream?type=steps&from=earliest", subprotocols=["healthsync", f"bearer.{token}"]) as stream:
        assert stream.subprotocol == "healthsync"
        assert json.loads(stream.recv(PATIENCE_S))["id"] == "s-1"


def test_a_web_socket_without_a_good_token_is_not_opened(scene: Scene) -> None:
    for token in (None, "x.y.z"):
        with pytest.raises(InvalidStatus) as caught, socket(scene, "/v1/stream", token):
            pass
        assert caught.value.response.status_code == 401


def test_the_first_apis_web_socket(scene: Scene) -> None:
    with socket(scene, "/ws", scene.tokens["123"]) as stream:
        sent = event("old-ws", user_id=123)
        scene.by("123").post("/sync/events", [sent])
        found = json.loads(stream.recv(PATIENCE_S))
        assert (found["id"], found["user_id"], found["value"]) == ("old-ws", 123, {"bpm": 70})


def test_every_route_has_a_rule(tmp_path: Path) -> None:
    """Walked on the routes themselves: one that asks nobody has to say so."""
    from fastapi.routing import APIRoute, APIWebSocketRoute

    from healthsync_mqtt.gateway.login.rules import Rule
    from tests.support.web import routes_of_the_gateway

    routes = routes_of_the_gateway(tmp_path)
    assert len(routes) >= 98
    for route in routes:
        assert isinstance(route, APIRoute | APIWebSocketRoute), route
        rules = [each.call for each in route.dependant.dependencies if isinstance(each.call, Rule)]
        assert len(rules) == 1, route.path


def test_an_invitation_is_a_link_that_opens_a_session_once(scene: Scene, tmp_path: Path) -> None:
    made = scene.service.cli("user", "invite", "alice")[0]
    assert set(made) == {"url", "expires_at"}
    assert made["url"].startswith(scene.service.ready["http"] + "/v1/invites/")
    away = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < away <= timedelta(days=1)
    browser = Browser(scene.web)
    link = made["url"].removeprefix(scene.web.url)
    assert scene.web.get(link, accept="*/*").cookies == (), "a preview of a messenger"
    assert browser.post(link).json()["name"] == "alice"
    assert "h-0" in ids(browser.get("/v1/users/alice/events").json())
    assert browser.get("/v1/users/bob/events").status == 404
    assert scene.web.post(link, b"").status == 401
    file = tmp_path / "link"
    other = scene.service.cli("user", "invite", "alice", "--base", "https://h.example/", "--url-file", str(file))[0]
    assert set(other) == {"url_file", "expires_at"}
    assert file.read_text().startswith("https://h.example/v1/invites/")
