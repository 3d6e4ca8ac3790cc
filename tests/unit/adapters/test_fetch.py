"""Links against providers that are written by tests: windows, pages, revisions, deletions, tokens, faults and kills."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.adapters.authorization import finish, invite
from healthsync_mqtt.adapters.budgets import ProviderBudgets
from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.adapters.cloud import CloudClient
from healthsync_mqtt.adapters.fetch import CommittedEvents
from healthsync_mqtt.adapters.link_state import CloudLinkState, LinkEvent
from healthsync_mqtt.adapters.links import CloudLink, LinkBook
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.user_standing import UserStanding
from healthsync_mqtt.adapters.web import CloudAnswer, Web
from healthsync_mqtt.adapters.worker import AdapterWorker
from healthsync_mqtt.cloud_links.flights import Flights
from healthsync_mqtt.cloud_links.former_links import PartingBook
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from healthsync_mqtt.errors import ConflictError, DeniedError, UnavailableError
from healthsync_mqtt.model.event import LATEST
from healthsync_mqtt.model.origin import Origin
from tests.support.clouds import CLIENT, CLOUDS, SECRET, ScriptedCloud, answer

NOW_US = 1_795_000_000_000_000  # 2026-11-18
HTML = CloudAnswer(status=200, body=b"<html>a portal</html>")


class Killed(BaseException):
    """The process ends here. Not KeyboardInterrupt: that leaves a loop in the middle, threads and tasks with it."""


class Log:
    """What the service does with events: the same again is a duplicate, a newer or another one is stored."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.states: list[tuple[str, dict[str, object]]] = []
        self.published = 0
        self.broken: Callable[[], bool] = lambda: False
        self.after: Callable[[], None] = lambda: None

    async def publish(self, user: str, provider: str, payload: bytes) -> CommittedEvents:
        if self.broken():
            raise UnavailableError("the broker is away")
        found = decode(payload, Origin(user, None, provider, f"users/{user}/adapters/{provider}/events"), NOW_US)
        stored = 0
        for event in found.events:
            old = self.events.get(event.id)
            new = {"type": event.type, "op": event.op, "start": event.start_us, "body": event.body, "v": event.version}
            if old is None or (old["body"] != new["body"] if event.version == LATEST else event.version > old["v"]):
                self.events[event.id] = new
                stored += 1
        self.published += 1
        self.after()
        return CommittedEvents(stored, len(found.events) - stored, len(found.rejections))

    async def retain(self, user: str, provider: str, state: dict[str, object]) -> None:
        del provider
        self.states.append((user, state))

    def told(self, type_: str) -> list[Any]:
        """The values of a type that are there."""
        found = [each for each in self.events.values() if each["type"] == type_ and not each["op"]]
        return [json.loads(each["body"])["value"] for each in sorted(found, key=lambda each: each["start"])]


class Everybody:
    """Users as a test says; all others are there."""

    def __init__(self) -> None:
        self.known: dict[str, UserStanding] = {}

    def standing(self, user: str) -> UserStanding:
        return self.known.get(user, UserStanding.here)

    def version(self) -> int:
        return len(self.known)


class Rig:
    """A worker of one provider, without processes and sockets."""

    def __init__(self, data: Path, provider: str, history_days: int = 4) -> None:
        self.data, self.provider = data, provider
        self.cloud = ScriptedCloud(CLOUDS[provider])
        self.log = Log()
        self.now_us = NOW_US
        adapter = shipped(provider)
        assert adapter.cloud is not None
        capability = dataclasses.replace(adapter.capability, budgets=(), history_days=history_days)
        self.ready = ReadyAdapter(
            dataclasses.replace(adapter, capability=capability), adapter.cloud, CloudClient(CLIENT, SECRET)
        )
        self.book = LinkBook.open(data)
        self.partings = PartingBook.open(data)
        self.inbox = NoticeInbox.open(data)
        self.people = Everybody()
        self.flights = Flights(data)
        self.worker = self.new_worker()

    def new_worker(
        self,
        book: LinkBook | None = None,
        flights: Flights | None = None,
        web: Web | None = None,
        renewed: Callable[[], Mapping[str, ReadyAdapter]] | None = None,
    ) -> AdapterWorker:
        return AdapterWorker(
            {self.provider: self.ready} if renewed is None else renewed(),
            renewed=renewed,
            book=book or self.book,
            partings=self.partings,
            inbox=self.inbox,
            people=self.people,
            flights=flights or self.flights,
            web=web or self.cloud,
            outlet=self.log,
            rng=Random(1),
            now_us=lambda: self.now_us,
        )

    def link(self, user: str = "ann") -> CloudLink:
        invitation = invite(self.book, self.ready, user, "http://127.0.0.1:9/callback", self.now_us)
        return finish(self.book, self.cloud, lambda _: self.ready, self.cloud.agree(invitation.url), self.now_us)

    def sync(self, user: str = "ann", *, asked: bool = True, worker: AdapterWorker | None = None) -> dict[str, Any]:
        return asyncio.run((worker or self.worker).fetch(self.book.of(user, self.provider), asked=asked))

    def close(self) -> None:
        self.book.close()
        self.partings.close()
        self.inbox.close()
        self.flights.close()


def weighing(number: int, grams: int, modified: int = 1_794_900_000) -> dict[str, Any]:
    measures = [{"value": grams, "type": 1, "unit": -3}]
    date = 1_794_800_000 + number * 60
    return {"grpid": number, "attrib": 0, "date": date, "modified": modified, "category": 1, "measures": measures}


def night(name: str, sort: str = "long_sleep", hour: int = 23) -> dict[str, Any]:
    rates = {"interval": 300, "items": [None, 57.0, 56.0], "timestamp": f"2026-11-16T{hour}:00:00+01:00"}
    return {
        "id": name, "type": sort, "bedtime_start": f"2026-11-16T{hour}:00:00+01:00", "day": "2026-11-17",
        "bedtime_end": "2026-11-17T06:00:00+01:00", "total_sleep_duration": 24_000, "heart_rate": rates,
    }  # fmt: skip


def test_all_pages_come_and_the_same_again_is_a_duplicate(rig: Callable[..., Rig]) -> None:
    here = rig("withings")
    here.link()
    here.cloud.records["measure"] = [weighing(number, 72_000 + number) for number in range(5)]
    assert here.sync()["stored"] == 5
    assert here.log.told("weight") == [{"kg": 72 + number / 1000} if number else {"kg": 72} for number in range(5)]
    again = here.sync()
    assert (again["stored"], again["state"]) == (0, "ok")
    here.cloud.records["measure"][0] = weighing(0, 71_000, modified=1_794_990_000)
    assert here.sync()["stored"] == 1
    assert here.log.told("weight")[0] == {"kg": 71}
    assert [state["state"] for _, state in here.log.states][:2] == ["syncing", "ok"]


def test_a_link_of_a_provider_that_the_settings_name_since_a_moment_ago_is_fetched_at_once(
    rig: Callable[..., Rig],
) -> None:
    """At the same microsecond: no look lies between the settings' change and the question."""
    here = rig("withings")
    here.cloud.records["measure"] = [weighing(1, 72_000)]
    named: list[dict[str, ReadyAdapter]] = [{}]
    here.worker = here.new_worker(renewed=lambda: named[-1])

    async def looked() -> None:
        async with asyncio.TaskGroup() as group:
            here.worker.look(group)

    asyncio.run(looked())
    asyncio.run(looked())  # the first look of all begins its clock, too
    link = here.link()
    named.append({here.provider: here.ready})
    number = here.book.ask(link.id, here.now_us)
    asyncio.run(looked())
    assert (here.book.answered(number) or {}).get("stored") == 1


def test_what_is_deleted_or_moved_at_the_provider_is_taken_back(rig: Callable[..., Rig]) -> None:
    here = rig("oura")
    here.link()
    here.cloud.records["sleep"] = [night("n1"), night("n2", "late_nap", 22)]
    assert here.sync()["stored"] == 4
    here.cloud.records["sleep"] = [night("n1") | {"heart_rate": None}, night("n2", "deleted", 22)]
    done = here.sync()
    assert done["deleted"] == 3
    assert (len(here.log.told("sleep")), here.log.told("heart_rate")) == (1, [])
    assert here.sync()["deleted"] == 0


def test_a_token_that_expired_is_renewed_once_durably_and_the_question_asked_again(rig: Callable[..., Rig]) -> None:
    here = rig("whoop")
    link = here.link()
    before = here.book.tokens(link)
    here.cloud.expire()
    assert here.sync()["state"] == "ok"
    assert here.cloud.refreshes == 1
    after = here.book.tokens(link)
    assert before is not None
    assert after is not None
    assert (after.refresh != before.refresh, here.book.tokens_before(link)) == (True, None)
    here.now_us += 20_000 * 1_000_000  # later than they last
    assert here.sync()["state"] == "ok"
    assert here.cloud.refreshes == 2


def test_killed_between_a_new_token_and_its_use_the_new_one_is_there(rig: Callable[..., Rig], tmp_path: Path) -> None:
    """It is durable before it is used, and the old one, which is dead at the provider, is not what is left."""
    here = rig("whoop")
    here.link()
    here.cloud.expire()
    ask = here.cloud.ask

    def dies(request: Any) -> CloudAnswer:
        if here.cloud.refreshes:
            raise Killed
        return ask(request)

    here.cloud.ask = dies  # type: ignore[method-assign]
    with LinkBook.open(tmp_path) as book, pytest.raises(Killed):
        here.sync(worker=here.new_worker(book))
    here.cloud.ask = ask  # type: ignore[method-assign]
    assert here.sync()["state"] == "ok"
    assert here.cloud.refreshes == 1


def test_two_workers_renew_once_between_them(rig: Callable[..., Rig]) -> None:
    """Each with its own connection to the file; the turn of the link is one."""
    here = rig("oura")
    here.link()
    here.cloud.expire()
    with LinkBook.open(here.data) as book:
        other = here.new_worker(book)

        async def both() -> list[dict[str, Any]]:
            link = here.book.of("ann", "oura")
            return await asyncio.gather(here.worker.fetch(link), other.fetch(link))

        assert [each["state"] for each in asyncio.run(both())] == ["ok", "ok"]
    assert here.cloud.refreshes == 1


def test_who_is_let_in_no_more_needs_the_user_and_goes_on_where_it_was(rig: Callable[..., Rig]) -> None:
    here = rig("withings")
    link = here.link()
    here.cloud.records["measure"] = [weighing(1, 72_000)]
    here.sync()
    here.cloud.revoked = True
    here.cloud.expire()
    assert here.sync()["state"] == "needs_reauth"
    asked = len(here.cloud.log)
    assert here.book.due("withings", here.now_us + 10**15, 10) == []
    assert here.book.tokens(link) is not None  # kept: it may have been another's refresh
    assert here.link().id == link.id
    assert here.sync()["state"] == "ok"
    assert len(here.cloud.log) > asked
    assert here.log.told("weight") == [{"kg": 72}]


FAULTS = {
    "portal": (HTML, "error"),
    "half": (CloudAnswer(status=200, body=b'{"data": [{"id":'), "error"),
    "empty": (CloudAnswer(status=200), "error"),
    "down": (CloudAnswer(status=503, body=b"<html>"), "error"),
    "away": (CloudAnswer(status=0, fault="timeout"), "error"),
    "wrong": (answer(400, {"detail": "no"}), "error"),
    "often": (answer(429, {}, **{"retry-after": "120"}), "rate_limited"),
    "membership": (answer(403, {"detail": "ended"}), "error"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_without_data_moves_no_cursor_and_is_asked_for_again(rig: Callable[..., Rig], fault: str) -> None:
    here = rig("oura")
    link = here.link()
    here.cloud.records["sleep"] = [night("n1")]
    given, state = FAULTS[fault]
    here.cloud.faults = [given]
    done = here.sync()
    assert (done["state"], done["stored"]) == (state, 0)
    assert here.book.cursor(link.id, "sleep") is None
    now = here.book.of("ann", "oura")
    assert now.hint
    assert now.due_us > here.now_us
    assert here.sync()["stored"] == 2


def test_a_kind_that_was_not_agreed_to_leaves_the_others_alone(rig: Callable[..., Rig]) -> None:
    here = rig("whoop")
    here.link()
    here.cloud.faults = [answer(403, {})]
    here.cloud.records["workout"] = []
    done = here.sync()
    assert (done["state"], done["not_granted"]) == ("ok", ["sleep"])


def test_killed_after_any_message_nothing_is_lost_and_nothing_double(rig: Callable[..., Rig], tmp_path: Path) -> None:
    """The process ends right after a commit, before its cursor: the next one asks for the same."""
    here = rig("withings")
    here.link()
    here.cloud.records["measure"] = [weighing(number, 72_000 + number) for number in range(7)]
    whole = 0
    for kill_after in range(1, 12):
        countdown = iter(range(kill_after))

        def die(countdown: Iterator[int] = countdown) -> None:
            if next(countdown, None) is None:
                raise Killed

        here.log.after = die
        with LinkBook.open(tmp_path) as book:
            worker = here.new_worker(book)
            try:
                here.sync(worker=worker)
                whole += 1
            except Killed:
                continue
    here.log.after = lambda: None
    here.sync()
    assert whole
    assert here.log.told("weight") == [{"kg": 72 + number / 1000} if number else {"kg": 72} for number in range(7)]
    assert len(here.log.events) == 7


def test_a_broker_that_is_away_is_no_fault_of_the_provider_and_loses_nothing(rig: Callable[..., Rig]) -> None:
    here = rig("withings")
    link = here.link()
    here.cloud.records["measure"] = [weighing(1, 72_000)]
    here.log.broken = lambda: True
    assert here.sync()["state"] == "error"
    assert here.book.cursor(link.id, "measure") is None
    here.log.broken = lambda: False
    assert here.sync()["stored"] == 1


def test_history_comes_in_slices_while_nobody_waits_for_it(rig: Callable[..., Rig]) -> None:
    here = rig("dexcom", 90)
    link = here.link()
    today = NOW_US // 1_000_000
    here.worker._budgets = Waiting()
    here.sync()
    first = here.book.cursor(link.id, "egvs")
    assert first is not None
    assert (first.since, first.back) == (today, today - 86_400)
    here.worker._budgets = ProviderBudgets({})
    here.sync()
    last = here.book.cursor(link.id, "egvs")
    assert last is not None
    assert last.back == today - 90 * 86_400
    windows = [asked for path, asked in here.cloud.log if path.endswith("/egvs")]
    assert len(windows) == 5  # live twice, and three slices of at most thirty days


class Waiting:
    async def spend(self, provider: str, user: str) -> bool:
        del provider, user
        return True


def test_an_answer_of_a_page_that_was_not_asked_for_makes_no_link(rig: Callable[..., Rig]) -> None:
    here = rig("google_health")
    invitation = invite(here.book, here.ready, "ann", "http://127.0.0.1:9/callback", NOW_US)
    back = here.cloud.agree(invitation.url)
    for wrong in (back.replace(invitation.state, "x" * 32), "/callback?code=1"):
        with pytest.raises(ConflictError):
            finish(here.book, here.cloud, lambda _: here.ready, wrong, NOW_US)
    with pytest.raises(ConflictError):
        finish(here.book, here.cloud, lambda _: here.ready, back, NOW_US + 700_000_000)
    refused = invite(here.book, here.ready, "ann", "http://127.0.0.1:9/callback", NOW_US)
    with pytest.raises(DeniedError, match="access_denied"):
        finish(
            here.book, here.cloud, lambda _: here.ready, f"/callback?error=access_denied&state={refused.state}", NOW_US
        )
    assert here.book.links() == []
    assert here.link().state is CloudLinkState.ok
    assert here.book.links()[0].provider == "google_health"


def test_a_provider_that_gives_no_new_refresh_token_leaves_the_old_one(rig: Callable[..., Rig]) -> None:
    here = rig("google_health")
    link = here.link()
    before = here.book.tokens(link)
    here.cloud.expire()
    here.sync()
    after = here.book.tokens(link)
    assert before is not None
    assert after is not None
    assert (after.refresh, after.access != before.access) == (before.refresh, True)


def test_tokens_are_nowhere_in_the_clear(rig: Callable[..., Rig]) -> None:
    here = rig("withings")
    link = here.link()
    tokens = here.book.tokens(link)
    assert tokens is not None
    for file in here.data.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert tokens.access.encode() not in content, file
            assert tokens.refresh.encode() not in content, file
    assert tokens.access not in repr(link)


def test_a_provider_that_fails_again_and_again_is_left_alone_and_others_are_not(rig: Callable[..., Rig]) -> None:
    here = rig("oura")
    for number in range(6):
        here.link(f"user{number}")
    here.cloud.faults = [CloudAnswer(status=503)] * 5
    for number in range(5):
        here.sync(f"user{number}", asked=False)
    asked = len(here.cloud.log)
    assert here.sync("user5", asked=False) == {"state": "rate_limited"}
    assert len(here.cloud.log) == asked
    here.now_us += 301 * 1_000_000
    assert here.sync("user5", asked=False)["state"] == "ok"


def test_a_link_that_is_over_is_taken_back_and_forgotten(rig: Callable[..., Rig]) -> None:
    here = rig("oura")
    link = here.link()
    here.book.leave(link.id)
    assert (here.book.links(), here.book.tokens(link)) == ([], None)

    async def look() -> None:
        async with asyncio.TaskGroup() as group:
            here.worker.look(group)

    asyncio.run(look())
    assert here.log.states[-1] == ("ann", {})
    assert here.book.link(link.id) is None


def test_what_commands_ask_for_is_answered(rig: Callable[..., Rig]) -> None:
    here = rig("withings")
    link = here.link()
    here.cloud.records["measure"] = [weighing(1, 72_000)]
    number = here.book.ask(link.id, here.now_us)

    async def look() -> None:
        async with asyncio.TaskGroup() as group:
            here.worker.look(group)

    asyncio.run(look())
    found = here.book.answered(number)
    assert found is not None
    assert {key: found[key] for key in ("stored", "duplicate", "rejected", "deleted")} == {
        "stored": 1, "duplicate": 0, "rejected": 0, "deleted": 0,
    }  # fmt: skip


def test_only_the_user_ends_that_it_needs_the_user(rig: Callable[..., Rig]) -> None:
    here = rig("oura")
    link = here.link()
    for event in (LinkEvent.begun, LinkEvent.refused, LinkEvent.begun, LinkEvent.fetched, LinkEvent.failed):
        here.book.happened(link, event)
    assert here.book.of("ann", "oura").state is CloudLinkState.needs_reauth
