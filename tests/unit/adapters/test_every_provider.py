"""What goes wrong between us and a provider, on every one of them: nothing is lost, nothing double, no cursor moves."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.adapters.web import CloudAnswer
from tests.support.cloud_scenes import SCENES, CloudScene, delivery
from tests.support.clouds import answer
from tests.unit.adapters.test_fetch import Rig
from tests.unit.adapters.test_lives import deliver

HOUR_US = 3_600_000_000
FAULTS = {
    "401": answer(401, {}),
    "403": answer(403, {}),
    "404": answer(404, {}),
    "410": answer(410, {}),
    "429": answer(429, {}, **{"retry-after": "17"}),
    "500": CloudAnswer(status=500, body=b"<html>oops</html>"),
    "503": CloudAnswer(status=503),
    "timeout": CloudAnswer(status=0, fault="timeout"),
    "html": CloudAnswer(status=200, body=b"<html>a portal</html>"),
    "empty": CloudAnswer(status=200),
    "truncated": CloudAnswer(status=200, body=b'{"data": [{"id": '),
}
POLLED = [name for name, scene in SCENES.items() if not scene.pushes]


class Stand:
    """A provider with records, and the worker that fetches them."""

    def __init__(self, data: Path, provider: str) -> None:
        self.here = Rig(data, provider, history_days=30)
        self.scene: CloudScene = SCENES[provider]
        self.values: dict[int, tuple[int, int]] = {}

    def add(self, value: int) -> None:
        self.values[len(self.values)] = (value, 0)
        self._tell()

    def revise(self, number: int, value: int) -> None:
        self.values[number] = (value, self.values[number][1] + 1)
        self._tell()

    def _tell(self) -> None:
        self.here.cloud.records = self.scene.lists(
            self.scene.make(number, *each) for number, each in self.values.items()
        )

    def told(self) -> list[float]:
        found = self.here.log.told(self.scene.type)
        return sorted(float(each[self.scene.reads]) for each in found)

    def expected(self) -> list[float]:
        return sorted(self.scene.of(value) for value, _ in self.values.values())


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Callable[[str], Stand]]:
    made: list[Stand] = []

    def make(provider: str) -> Stand:
        found = Stand(tmp_path, provider)
        found.here.link()
        made.append(found)
        return found

    yield make
    for each in made:
        each.here.close()


@pytest.mark.parametrize("provider", POLLED)
def test_an_answer_without_data_loses_nothing(stand: Callable[[str], Stand], provider: str) -> None:
    at = stand(provider)
    for number, (name, fault) in enumerate(FAULTS.items()):
        at.add(1_000 + number * 7)
        at.here.cloud.faults = [fault]
        state = at.here.sync()["state"]
        if name == "401" and not at.scene.renews:
            assert state == "needs_reauth"
            at.here.link()
        else:
            assert state in {"ok", "error", "rate_limited"}, name
        assert at.here.sync()["state"] == "ok", name
        assert at.told() == at.expected(), name


@pytest.mark.parametrize("provider", POLLED)
def test_pages_are_asked_for_to_the_last_one_and_revisions_come_once(
    stand: Callable[[str], Stand], provider: str
) -> None:
    at = stand(provider)
    for number in range(5):
        at.add(1_000 + number * 7)
    assert at.here.cloud.page_size == 2
    assert at.here.sync()["state"] == "ok"
    assert at.told() == at.expected()
    events = len(at.here.log.events)
    at.revise(3, 2_005)
    at.here.sync()
    assert (at.told(), len(at.here.log.events)) == (at.expected(), events)
    assert at.here.sync()["stored"] == 0


@pytest.mark.parametrize("provider", POLLED)
@pytest.mark.parametrize("off_us", [-HOUR_US // 4, 24 * HOUR_US], ids=["behind", "ahead"])
def test_a_clock_that_is_put_right_has_lost_nothing(stand: Callable[[str], Stand], provider: str, off_us: int) -> None:
    at = stand(provider)
    right_us = at.here.now_us
    at.here.now_us += off_us
    at.add(1_000)
    assert at.here.sync()["state"] == "ok"
    at.here.now_us = right_us
    at.add(1_007)
    assert at.here.sync()["state"] == "ok"
    assert at.told() == at.expected()


@pytest.mark.parametrize("provider", [name for name, scene in SCENES.items() if scene.says is not None])
def test_a_delivery_said_again_and_in_another_order_does_no_harm(stand: Callable[[str], Stand], provider: str) -> None:
    at = stand(provider)
    at.add(1_000)
    assert at.here.sync()["state"] == "ok"
    at.add(1_007)
    says = at.scene.says
    assert says is not None
    said = [delivery(says("create", at.scene.make(number, *at.values[number])), number) for number in (1, 0, 1)]
    for each in said:
        deliver(at.here, each.decode())
    assert at.told() == at.expected()
    assert deliver_forged(at, said[0]) == []


def deliver_forged(at: Stand, said: bytes) -> list[str]:
    """The same of an account that nobody here is linked to, and what is none: what was asked then."""
    asked = len(at.here.cloud.log)
    for each in (said.replace(b"1", b"9"), b"", b"[]", b"{}", b"null", b"\xff", json.dumps({"x": [1]}).encode()):
        if each != said:
            at.here.inbox.put(at.here.provider, each, at.here.now_us)
    before = at.told()
    deliver(at.here, "{}")
    assert at.told() == before
    return [path for path, _ in at.here.cloud.log[asked:] if "/oauth" in path]


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_ping_leads_to_fails_and_is_asked_for_again(stand: Callable[[str], Stand], name: str) -> None:
    at = stand("garmin")
    assert at.here.sync()["state"] == "ok"
    record = at.scene.make(1, 1_007, 0)
    at.here.cloud.manners.fixed["/wellness-api/rest/dailies"] = answer(200, [record])
    url = "https://apis.garmin.com/wellness-api/rest/dailies?token=x"
    at.here.cloud.faults = [FAULTS[name]]
    at.here.inbox.put(
        "garmin", json.dumps({"dailies": [{"userId": "g-1", "callbackURL": url}]}).encode(), at.here.now_us
    )
    deliver_waits = name not in {"401", "403", "404", "410"}
    if deliver_waits:
        with pytest.raises(AssertionError, match="garmin"):
            deliver(at.here, "{}")
        at.here.now_us += HOUR_US
    deliver(at.here, "{}")
    assert at.told() == ([1_007.0] if deliver_waits or name == "401" else [])
    assert at.here.book.of("ann", "garmin").state == "ok"
