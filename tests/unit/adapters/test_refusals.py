"""What is refused of one kind leaves the others alone: a scope that was not agreed to, a question that is wrong."""

from collections.abc import Callable

import pytest

from healthsync_mqtt.adapters.worker import Breaker
from tests.support.clouds import answer
from tests.unit.adapters.test_fetch import Rig, night

SCOPE = answer(401, {"detail": "Token does not have the required scope"})
WRONG = answer(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT"}})
SECOND_US = 1_000_000


@pytest.mark.parametrize("kind", ["sleep", "heartrate"], ids=["the first", "the last"])
def test_a_kind_that_was_not_agreed_to_is_no_dead_token_though_it_says_401(rig: Callable[..., Rig], kind: str) -> None:
    """Nobody is asked to agree again for it, and no refresh token, which is good once, is spent on it."""
    here = rig("oura")
    here.link()
    here.cloud.records |= {"sleep": [night("n1")], "workout": []}
    here.cloud.manners.fixed[f"/v2/usercollection/{kind}"] = SCOPE
    for _ in range(3):
        done = here.sync()
        assert (done["state"], done["not_granted"]) == ("ok", [kind])
    assert here.cloud.refreshes == 0
    assert bool(here.log.told("sleep")) == (kind != "sleep")
    del here.cloud.manners.fixed[f"/v2/usercollection/{kind}"]
    assert "not_granted" not in here.sync()
    assert len(here.log.told("sleep")) == 1, "its cursor has not moved"


def test_a_token_that_is_over_is_renewed_although_a_kind_was_not_agreed_to(rig: Callable[..., Rig]) -> None:
    here = rig("oura")
    here.link()
    here.cloud.manners.fixed["/v2/usercollection/sleep"] = SCOPE
    here.sync()
    here.cloud.expire()
    done = here.sync()
    assert (done["state"], done["not_granted"], here.cloud.refreshes) == ("ok", ["sleep"], 1)
    here.cloud.revoked = True
    here.cloud.expire()
    assert here.sync()["state"] == "needs_reauth"


def test_a_question_that_is_refused_leaves_the_other_kinds_alone_and_is_said(rig: Callable[..., Rig]) -> None:
    here = rig("oura")
    here.link()
    here.cloud.records["sleep"] = [night("n1")]
    here.cloud.manners.fixed["/v2/usercollection/daily_sleep"] = WRONG
    done = here.sync()
    assert (done["state"], done["stored"]) == ("error", 2)
    assert "400" in here.book.of("ann", "oura").hint
    assert here.book.cursor(here.book.of("ann", "oura").id, "heartrate") is not None


def test_where_a_second_one_is_refused_no_more_are_asked_for(rig: Callable[..., Rig]) -> None:
    here = rig("oura")
    here.link()
    for kind in ("sleep", "daily_sleep", "daily_readiness"):
        here.cloud.manners.fixed[f"/v2/usercollection/{kind}"] = WRONG
    assert here.sync()["state"] == "error"
    asked = [path.rpartition("/")[2] for path, _ in here.cloud.log if "usercollection" in path]
    assert asked == ["sleep", "daily_sleep"]


def test_after_a_while_a_provider_that_failed_is_asked_by_one_link_alone() -> None:
    breaker = Breaker()
    for number in range(5):
        assert breaker.open(1_000.0 + number) == 0
        breaker.failed(1_000.0 + number)
    assert breaker.open(1_010.0) == 294.0
    assert [breaker.open(1_400.0 + number) > 0 for number in range(3)] == [False, True, True]
    assert breaker.open(1_431.0) == 0, "whoever was told may never have asked"
    breaker.failed(1_432.0)
    assert breaker.open(1_433.0) == 299.0
    assert breaker.open(1_800.0) == 0
    breaker.worked()
    assert [breaker.open(1_801.0), breaker.open(1_802.0)] == [0, 0]


def test_who_says_too_often_and_not_how_long_is_left_alone_for_longer_each_time(rig: Callable[..., Rig]) -> None:
    here = rig("google_health")
    here.link()
    waits = []
    for _ in range(4):
        here.cloud.faults = [answer(429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}})]
        assert here.sync()["state"] == "rate_limited"
        waits.append((here.book.of("ann", "google_health").due_us - here.now_us) / SECOND_US)
    assert all(60 * 2**number <= wait <= 90 * 2**number for number, wait in enumerate(waits))
    here.now_us += int(waits[-1] * SECOND_US) - 2 * SECOND_US
    assert here.sync(asked=False) == {"state": "rate_limited"}
    here.now_us += 3 * SECOND_US
    assert here.sync(asked=False)["state"] == "ok"


def test_a_user_who_is_registered_at_polar_already_is_a_user(rig: Callable[..., Rig]) -> None:
    here = rig("polar")
    here.link()
    here.cloud.manners.fixed["/v3/users"] = answer(409, {"status": 409, "errorType": "conflict"})
    assert here.sync()["state"] == "ok"
    here.cloud.manners.fixed["/v3/users"] = answer(503, {})
    here.link("bob")
    assert here.sync("bob")["state"] == "error", "without a registration nothing can be asked for"
