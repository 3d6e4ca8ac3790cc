"""What Bob's callers are answered does not depend on what Alice has, and of Alice they learn as much as of nobody.

Two gateways: in one Alice has events, a device, a carer and a reader; in the other there is no Alice at all. Bob is the
same in both, and so is who calls for him, whatever route is asked for whom.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthsync_mqtt.model.event import Op
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import item
from tests.support.gateway import Browser, GatewayHere, filled, gateway_here
from tests.support.patience import wait_until
from tests.support.web import HttpAnswer, Web

ROOT = Path(__file__).parents[3]
DOCUMENT = json.loads((ROOT / "docs" / "reference" / "schemas" / "openapi.json").read_bytes())
LATER_US = 4_000_000_000_000_000
ENDLESS = "/v1/stream"
SAFE = [path for path, of in DOCUMENT["paths"].items() if "get" in of and path != ENDLESS]
UNSAFE = [
    (method.upper(), path)
    for path, of in DOCUMENT["paths"].items()
    for method in of
    if method != "get" and "{user}" in path
]
OF_BOB_ALONE = {"/v1/users/{user}/export"}
"""An archive has times all over, which are not the same in two worlds."""
CALLERS = ("device", "reader of all", "reader of steps", "session", "session of the carer", "nobody")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
OPAQUE = {"next", "token", "cursor", "since", "epoch", "csrf_token", "request_id"}
WORDS = {
    "type": ["heart_rate", "hr", "steps", "nothing"],
    "since": ["2020-01-01T00:00:00Z", "earliest", "x", ""],
    "until": ["2030-01-01T00:00:00Z", "x"],
    "device": ["bob-watch", "alice-watch", "watch"],
    "order": ["asc", "desc", "stored", "x"],
    "limit": ["1", "2", "1000", "0"],
    "cursor": ["", "AAAA", "1"],
    "user": ["bob", "alice", "ghost"],
    "field": ["bpm", "steps"],
    "kind": ["trend"],
}
NAMES = {
    "event_id": ["b-1", "b-2", "a-1", "shared"],
    "device": ["watch", "tablet"],
    "carer": ["carol", "alice"],
    "app": ["nightscout"],
    "format": ["nightscout"],
    "provider": ["withings"],
    "client": ["alice-watch"],
    "code": ["AAAA-BBBB"],
    "erasure": ["1"],
    "number": ["1", "2"],
    "name": ["alice-reader", "root"],
}


class Bobs:
    """One world: who calls for Bob in it."""

    def __init__(self, here: GatewayHere, epoch: str) -> None:
        self._epoch = epoch
        with here.registry() as registry:
            registry.carers.grant("bob", "carol", ["steps"], LATER_US, 2)
        self.callers: dict[str, Web | Browser] = {
            "device": here.device("bob", "watch"),
            "reader of all": here.subscriber("bob-reader", ["bob"], "*"),
            "reader of steps": here.subscriber("bob-walker", ["bob"], ["steps"]),
            "session": here.invited("bob"),
            "session of the carer": here.invited("carol"),
            "nobody": here.web,
        }
        reader = self.callers["reader of all"]
        wait_until(lambda: reader.get("/v1/users/bob/events").status == 200)

    def ask(self, who: str, method: str, path: str, **more: str) -> tuple[int, Any]:
        caller = self.callers[who]
        if isinstance(caller, Browser):
            more["x_csrf_token"] = caller.csrf
        body = None if method == "GET" else b"{}"
        return self._plain(caller.call(method, path, body, x_request_id="same", **more))

    def _plain(self, answer: HttpAnswer) -> tuple[int, Any]:
        """Without what no two worlds have in common: the name of the log, times of now, sealed places."""
        text = answer.body.decode(errors="replace").replace(self._epoch, "EPOCH")
        text = TIME.sub("TIME", text)
        try:
            return answer.status, _without(json.loads(text))
        except ValueError:
            return answer.status, text


def _without(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: bool(value) if key in OPAQUE else _without(value) for key, value in found.items()}
    return [_without(each) for each in found] if isinstance(found, list) else found


@dataclass
class Scene:
    alone: Bobs
    beside: Bobs
    here: GatewayHere
    before: Any = field(repr=False)

    def of_alice(self) -> Any:
        return _of_alice(self.here)


def _of_alice(here: GatewayHere) -> Any:
    with here.registry() as registry:
        return (
            registry.user("alice"),
            registry.devices("alice"),
            registry.consent.history("alice"),
            registry.carers.of("alice"),
            registry.erasures.of_user("alice"),
        )


@pytest.fixture(scope="module", params=["all", "steps", "none"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    root = tmp_path_factory.mktemp("projection")
    with ExitStack() as opened:
        worlds = []
        for name in ("alone", "beside"):
            data = root / name
            filled(data, ["carol"] if name == "alone" else ["alice", "carol"], [])
            here = opened.enter_context(gateway_here(data))
            with here.registry() as registry:
                registry.add_user("bob", "none" if request.param == "none" else "all", 1)
                if request.param == "steps":
                    registry.consent.withdraw("bob", "heart_rate", 2)
            with open_log(data) as log:
                epoch = log.epoch
                for number in range(1, 6):
                    if name == "beside":
                        many = [item(f"a-{number}-{place}", "alice") for place in range(20)]
                        log.stage([*many, item("shared", "alice", version=number)], [], 1_790_000_000_000_000)
                        log.commit()
                    mine = [
                        item(f"b-{number}", "bob"),
                        item(f"w-{number}", "bob", event_type="steps"),
                        item("shared", "bob", version=number, op=Op.UPSERT),
                    ]
                    log.stage(mine, [], 1_790_000_000_000_000 + number)
                    log.commit()
            if name == "beside":
                here.device("alice", "watch")
                here.subscriber("alice-reader", ["alice"], "*")
                with here.registry() as registry:
                    registry.carers.grant("alice", "carol", ["steps"], 3, 2)  # it is over
            worlds.append(Bobs(here, epoch))
            last = here
        yield Scene(worlds[0], worlds[1], last, _of_alice(last))


def path_of(draw: Any, template: str, user: str) -> str:
    found = template.replace("{user}", user)
    for name in re.findall(r"{(\w+)}", found):
        found = found.replace(f"{{{name}}}", draw(st.sampled_from(NAMES[name])))
    return found


@st.composite
def readings(draw: Any) -> tuple[str, str, str]:
    """Who asks, for what, about whom."""
    template = draw(st.sampled_from(SAFE))
    user = draw(st.sampled_from(("alice", "bob", "ghost")))
    if template in OF_BOB_ALONE and user == "bob":
        user = "ghost"
    known = [each["name"] for each in DOCUMENT["paths"][template]["get"].get("parameters", ()) if each["in"] == "query"]
    asked = draw(st.lists(st.sampled_from(known), unique=True, max_size=3)) if known else []
    query = "&".join(f"{name}={draw(st.sampled_from(WORDS.get(name, ['x'])))}" for name in asked)
    path = path_of(draw, template, user)
    return draw(st.sampled_from(CALLERS)), f"{path}?{query}" if query else path, user


LIGHT = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LIGHT
@given(readings(), st.sampled_from(("application/json", "application/x-ndjson", "text/csv", "application/fhir+json")))
def test_what_bob_is_answered_does_not_depend_on_alice(scene: Scene, asked: tuple[str, str, str], accept: str) -> None:
    who, path, _ = asked
    assert scene.beside.ask(who, "GET", path, accept=accept) == scene.alone.ask(who, "GET", path, accept=accept)


@LIGHT
@given(st.data())
def test_of_alice_nobody_learns_more_than_of_who_is_not_there_and_changes_nothing(scene: Scene, data: Any) -> None:
    method, template = data.draw(st.sampled_from(UNSAFE))
    who = data.draw(st.sampled_from(CALLERS))
    path = path_of(data.draw, template, "alice")
    status, said = scene.beside.ask(who, method, path)
    assert 400 <= status < 500
    ghost = scene.beside.ask(who, method, path.replace("/users/alice", "/users/ghost"))
    assert (status, json.dumps(said).replace("alice", "ghost")) == (ghost[0], json.dumps(ghost[1]))
    assert scene.of_alice() == scene.before


def test_the_two_worlds_are_two(scene: Scene) -> None:
    """Else the properties above would hold of nothing."""
    admin = scene.here.admin("looker")
    wait_until(lambda: admin.get("/v1/users/alice/events?limit=1000").status == 200)
    assert len(admin.get("/v1/users/alice/events?limit=1000").json()["events"]) == 101
    own = scene.beside.ask("reader of all", "GET", "/v1/users/bob/events")[1]["events"]
    assert len(own) in {0, 5, 6, 11}
