"""Commands write a link's row while the worker holds a copy of it: what they said holds, whatever it writes then."""

import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.adapters.cloud import Tokens, tokens_of
from healthsync_mqtt.adapters.link_descriptions import described_link
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from tests.support.clouds import ScriptedCloud, answer
from tests.unit.adapters.test_fetch import NOW_US, Rig, night, weighing


def amid(here: Rig, command: Callable[[], object], *, at: Callable[[CloudRequest], bool] = lambda _: True) -> None:
    """Run a command as a process beside would, while the provider answers the next such request."""
    inner: ScriptedCloud = here.cloud
    waits = [command]

    class Beside:
        def ask(self, request: CloudRequest) -> CloudAnswer:
            found = inner.ask(request)
            if waits and at(request):
                waits.pop()()
            return found

    here.worker = here.new_worker(web=Beside())


def is_token(request: CloudRequest) -> bool:
    return b"grant_type=refresh_token" in (request.body or b"")


def starts(here: Rig, path: str) -> list[str]:
    """From where each question about a path asked."""
    return [asked.get("start_date") or asked.get("lastupdate", "") for where, asked in here.cloud.log if where == path]


@pytest.mark.parametrize("last", [False, True])
def test_a_backfill_amid_a_fetch_that_finds_nothing_new(rig: Callable[[str], Rig], last: bool) -> None:
    here = rig("oura")
    here.cloud.records["sleep"] = [night("n1")]
    link = here.link()
    here.sync()
    nights = "/v2/usercollection/sleep"
    first = min(starts(here, nights))
    kind = "/v2/usercollection/session" if last else nights
    amid(here, lambda: here.book.deepen(link.id), at=lambda request: kind in request.url)
    here.sync()
    assert here.book.link(link.id).due_us == 0, "what was asked for is due"  # type: ignore[union-attr]
    here.cloud.log.clear()
    here.sync()
    assert min(starts(here, nights)) == first
    assert here.book.link(link.id).due_us > NOW_US  # type: ignore[union-attr]


def test_a_backfill_where_changes_are_asked_for(rig: Callable[[str], Rig]) -> None:
    here = rig("withings")
    here.cloud.records["measure"] = [weighing(1, 72_000)]
    link = here.link()
    here.sync()
    first = min(starts(here, "/measure"))
    here.cloud.log.clear()
    here.sync()
    assert min(starts(here, "/measure")) > first
    here.book.deepen(link.id)
    here.cloud.log.clear()
    here.sync()
    assert min(starts(here, "/measure")) == first
    here.cloud.log.clear()
    here.sync()
    assert min(starts(here, "/measure")) > first, "once"


def test_a_pause_amid_a_fetch_ends_it(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.cloud.records["sleep"] = [night("n1")]
    link = here.link()
    asked = len(here.cloud.log)
    amid(here, lambda: here.book.pause(link.id, paused=True))
    assert here.sync(asked=False)["state"] == "ok"
    assert len(here.cloud.log) == asked + 1
    assert here.log.published == 0
    here.book.pause(link.id, paused=False)
    assert here.sync(asked=False)["stored"] == 2, "it goes on where it was"


def test_who_is_paused_and_asked_for_by_a_person_is_fetched(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.cloud.records["sleep"] = [night("n1")]
    here.book.pause(here.link().id, paused=True)
    assert here.sync()["stored"] == 2


def test_a_link_that_is_made_again_amid_a_fetch_with_dead_tokens_is_good(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    link = here.link()
    here.sync()
    here.cloud.expire()
    here.cloud.faults = [answer(401, {})]
    fresh = Tokens("access-new", "refresh-new", NOW_US * 2, account="oura-user-1")
    here.cloud.revoked = True
    amid(here, lambda: here.book.agree("ann", "oura", fresh, "all", NOW_US), at=is_token)
    here.sync()
    now = here.book.of("ann", "oura")
    assert (now.state, now.due_us) == ("ok", 0)
    assert here.book.tokens(link) == fresh


def test_new_tokens_of_the_user_are_not_written_over_by_a_refresh_of_the_old_ones(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    link = here.link()
    here.sync()
    here.cloud.expire()
    fresh = Tokens("access-new", "refresh-new", NOW_US * 2, account="another")
    here.book.is_account(link, "")
    here.cloud._access.add("access-new")
    amid(here, lambda: here.book.agree("ann", "oura", fresh, "all", NOW_US), at=is_token)
    here.sync()
    assert here.book.tokens(link) == fresh
    assert here.book.of("ann", "oura").due_us == 0


def test_whose_account_it_was_is_not_said_of_who_has_agreed_since(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    link = here.link()
    fresh = Tokens("access-new", "refresh-new", NOW_US * 2, account="another")
    amid(
        here,
        lambda: here.book.agree("ann", "oura", fresh, "all", NOW_US),
        at=lambda request: "personal_info" in request.url,
    )
    here.sync()
    assert here.book.account(link.id) == "another"


def test_what_is_asked_for_amid_a_fetch_is_answered_by_the_next_one(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.cloud.records["sleep"] = [night("n1")]
    link = here.link()
    numbers: list[int] = []
    amid(here, lambda: numbers.append(here.book.ask(link.id, NOW_US)))
    here.sync(asked=False)
    assert here.book.answered(numbers[0]) is None

    async def look() -> None:
        async with asyncio.TaskGroup() as group:
            here.worker.look(group)

    asyncio.run(look())
    assert here.book.answered(numbers[0]) == {"state": "ok", "stored": 0, "duplicate": 2, "rejected": 0, "deleted": 0}


def test_a_question_about_a_link_that_is_forgotten_has_an_answer(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    link = here.link()
    number = here.book.ask(link.id, NOW_US)
    here.book.leave(link.id)
    here.partings.forget(link.id)
    assert here.book.answered(number) == {"state": "gone"}


def test_a_copy_of_a_link_that_is_gone_says_nothing_of_the_one_that_got_its_number(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    old = here.link()
    here.book.leave(old.id)
    here.partings.forget(old.id)
    here.now_us += 1
    new = here.link("bob")
    assert new.id == old.id, "the file gives numbers again"
    here.book.is_account(old, "of-ann")
    here.book.hooked(old, NOW_US)
    assert dataclasses.replace(here.book.of("bob", "oura"), scopes=new.scopes) == new


def test_when_the_user_has_to_agree_again_is_said_in_time(rig: Callable[[str], Rig]) -> None:
    """Google, while the app's consent screen is in testing; what is renewed with each pair is not said."""
    here = rig("google_health")
    agreed = here.link()
    tokens = here.book.tokens(agreed)
    assert tokens is not None
    week_us = NOW_US + 7 * 86_400_000_000
    here.book.agree("ann", "google_health", tokens._replace(until_us=week_us), "all", NOW_US)
    assert here.sync()["state"] == "ok"
    assert "2026-11-25" in described_link(here.book.of("ann", "google_health")).hint
    assert "2026-11-25" in str(here.log.states[-1][1]["hint"])
    here.cloud.expire()
    here.sync()
    assert here.book.of("ann", "google_health").until_us == week_us, "a new access token says nothing of it"
    here.book.agree("ann", "google_health", tokens._replace(until_us=NOW_US + 90 * 86_400_000_000), "all", NOW_US)
    here.sync()
    assert described_link(here.book.of("ann", "google_health")).hint == ""


def test_how_long_a_pair_is_good_is_read_from_its_answer() -> None:
    cloud = shipped("google_health").cloud
    assert cloud is not None
    said = {"access_token": "a", "refresh_token": "r", "expires_in": 3_599, "refresh_token_expires_in": 604_799}
    found = tokens_of(cloud, answer(200, said), NOW_US)
    assert isinstance(found, Tokens)
    assert found.until_us == NOW_US + 604_799_000_000
    later = tokens_of(cloud, answer(200, {"access_token": "b", "expires_in": 3_599}), NOW_US + 1, found)
    assert isinstance(later, Tokens)
    assert (later.until_us, later.refresh) == (found.until_us, "r")
