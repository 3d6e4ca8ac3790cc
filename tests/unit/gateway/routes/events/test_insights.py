"""What was found of a user's days, over HTTP: pages in order, for whom all is that a finding rests on."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from healthsync_mqtt.gateway.routes.events import insights
from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.insights.file import InsightFile, LookedAt
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.testing.log_items import item
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.insight_scene import DAY
from tests.support.patience import wait_until
from tests.support.web import Web

PATH = "/v1/users/alice/insights"
HEART, BOTH = ("resting_heart_rate",), ("resting_heart_rate", "steps")


def finding(day: int, subject: str, types: tuple[str, ...]) -> InsightFinding:
    basis = Basis(types=types, first_day=day - 40, last_day=day, days=30, readings=30)
    return InsightFinding(subject=subject, what="above", sentence=f"Day {day}.", basis=basis)


def wrote(scene: GatewayHere, user: str, *told: tuple[str, int, InsightFinding]) -> None:
    """insights.db, as the other process writes it."""
    by_kind: dict[tuple[str, int], list[InsightFinding]] = {}
    for kind, day, each in told:
        by_kind.setdefault((kind, day), []).append(each)
    with InsightFile.open(scene.place.path / "insights.db") as file:
        file.keep(user, LookedAt("* 0", DAY), [], still=lambda: True)
        file.write(user, sorted({day for _, day, _ in told}), by_kind, still=lambda: True)


def subjects(who: Any, path: str = PATH) -> list[str]:
    answer = who.get(path)
    assert answer.status == 200, answer.body
    return [each["subject"] for each in answer.json()["insights"]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("insights") / "data"
    filled(data, ["alice", "bob", "carol", "dave"], [item("h-1")])
    with gateway_here(data) as here:
        assert here.device("alice", "early").get(PATH).json() == {"insights": [], "next": None}  # nothing is looked at
        wrote(
            here,
            "alice",
            ("baseline", DAY - 2, finding(DAY - 2, "a", HEART)),
            ("baseline", DAY - 1, finding(DAY - 1, "b", HEART)),
            ("trend", DAY - 1, finding(DAY - 1, "c", BOTH)),
            ("trend", DAY - 1, finding(DAY - 1, "d", HEART)),
            ("baseline", DAY, finding(DAY, "e", HEART)),
        )
        wrote(here, "bob", ("baseline", DAY, finding(DAY, "of-bob", HEART)))
        yield here


@pytest.fixture(scope="module")
def watch(scene: GatewayHere) -> Web:
    return scene.device("alice", "watch")


def test_findings_come_in_the_order_of_their_days_with_what_they_rest_on(scene: GatewayHere, watch: Web) -> None:
    answer = watch.get(PATH)
    assert answer.json()["next"] is None
    assert [each["subject"] for each in answer.json()["insights"]] == ["a", "b", "c", "d", "e"]
    first = answer.json()["insights"][0]
    assert first == finding(DAY - 2, "a", HEART).event("alice", "baseline", DAY - 2)
    assert watch.get(PATH, if_none_match=answer.headers["etag"]).status == 304
    assert subjects(watch, f"{PATH}?order=desc") == ["e", "b", "c", "d", "a"]
    assert subjects(watch, f"{PATH}?kind=trend") == ["c", "d"]
    assert subjects(watch, f"{PATH}?kind=no_such") == []
    assert subjects(watch, f"{PATH}?since=2026-11-22&until=2026-11-22") == ["b", "c", "d"]
    assert subjects(scene.invited("alice")) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_hold_each_finding_once(watch: Web, order: str, limit: int) -> None:
    asked = f"{PATH}?order={order}"
    whole, pages, cursor = subjects(watch, asked), list[list[str]](), ""
    while cursor is not None:
        page = watch.get(f"{asked}&limit={limit}{cursor and '&cursor='}{cursor}").json()
        pages.append([each["subject"] for each in page["insights"]])
        cursor = page["next"]
    assert [each for page in pages for each in page] == whole
    assert max(map(len, pages)) <= limit
    assert len(pages) == -(-len(whole) // limit)


def test_a_page_is_bounded_by_its_bytes_too(watch: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insights, "MOST_BYTES", 10)
    page = watch.get(PATH).json()
    assert [each["subject"] for each in page["insights"]] == ["a"]
    assert subjects(watch, f"{PATH}?cursor={page['next']}") == ["b"]


def test_what_cannot_be_asked(watch: Web) -> None:
    place = watch.get(f"{PATH}?limit=1").json()["next"]
    for wrong in (
        "since=yesterday",
        "since=2026-11-24&until=2026-11-23",
        "limit=0",
        "limit=1001",
        "order=up",
        "cursor=x",
        f"cursor={place}&order=desc",
        f"cursor={place}&kind=trend",
    ):
        assert watch.get(f"{PATH}?{wrong}").status == 400, wrong


def test_a_finding_is_told_to_whom_all_is_that_it_rests_on(scene: GatewayHere) -> None:
    bob = scene.invited("bob")
    absent = bob.get("/v1/users/nobody/insights")
    assert (bob.get(PATH).status, bob.get(PATH).json() | {"request_id": ""}) == (
        404,
        absent.json() | {"request_id": ""},
    )
    assert subjects(bob, "/v1/users/bob/insights") == ["of-bob"]
    alice = scene.invited("alice")
    until = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    grant = {"types": list(HEART), "until": until}
    assert alice.call("PUT", "/v1/users/alice/carers/bob", grant, x_csrf_token=alice.csrf).status == 200
    assert subjects(bob) == ["a", "b", "d", "e"]
    assert subjects(bob, f"{PATH}?limit=2&since=2026-11-22") == ["b"]  # a page may be short
    assert subjects(scene.subscriber("heart", ["alice"], list(HEART))) == ["a", "b", "d", "e"]
    assert subjects(scene.subscriber("steps", ["alice"], ["steps"])) == []


def test_what_a_user_withdraws_is_told_nobody_any_more(scene: GatewayHere) -> None:
    wrote(scene, "carol", ("trend", DAY, finding(DAY, "c", BOTH)), ("baseline", DAY, finding(DAY, "h", HEART)))
    path = "/v1/users/carol/insights"
    carol, reader = scene.invited("carol"), scene.subscriber("clinic", ["carol"], "*")
    assert subjects(carol, path) == subjects(reader, path) == ["h", "c"]
    with scene.registry() as registry:
        registry.consent.withdraw("carol", ["steps"], time.time_ns() // 1000, purposes=[Purpose.insights])
    wait_until(lambda: subjects(carol, path) == ["h"])
    with scene.registry() as registry:
        registry.consent.withdraw("carol", list(HEART), time.time_ns() // 1000, purposes=[Purpose.share])
    wait_until(lambda: subjects(reader, path) == [])
    assert subjects(carol, path) == ["h"]  # it is shared with nobody else


def test_a_day_that_was_looked_at_again_between_pages_hides_no_other_day(scene: GatewayHere) -> None:
    dave = scene.device("dave", "watch")
    path = "/v1/users/dave/insights"
    days = [(f"kind{n}", DAY - 1, finding(DAY - 1, f"x{n}", HEART)) for n in range(3)]
    wrote(scene, "dave", *days, ("baseline", DAY, finding(DAY, "y", HEART)))
    place = dave.get(f"{path}?limit=2").json()["next"]
    with InsightFile.open(scene.place.path / "insights.db") as file:
        file.write("dave", [DAY - 1], {}, still=lambda: True)
    assert subjects(dave, f"{path}?cursor={place}") == ["y"]
