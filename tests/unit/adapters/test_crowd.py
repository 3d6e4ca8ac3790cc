"""Ten thousand links on one worker: what a look costs is counted, and one slow provider keeps no other waiting."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.adapters.cloud import CloudClient, Tokens
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.adapters.worker import AdapterWorker
from healthsync_mqtt.cloud_links.flights import Flights
from healthsync_mqtt.cloud_links.former_links import PartingBook
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from tests.support.patience import PATIENCE_S
from tests.unit.adapters.test_fetch import NOW_US, Everybody, Log

LATER_US = NOW_US + 3_600_000_000
PROVIDERS = ("withings", "oura", "whoop", "dexcom", "strava", "google_health", "polar")


def fill(book: LinkBook, links: int) -> None:
    """Links of as many users, none of them due; half of one provider's wait for their users."""
    rows = [
        (f"u{number}", PROVIDERS[number % len(PROVIDERS)], "needs_reauth" if number % 14 == 0 else "ok")
        for number in range(links)
    ]
    with contextlib.closing(book._db.cursor()) as cursor:
        cursor.execute("BEGIN")
        cursor.executemany(
            "INSERT INTO links (user, provider, state, linked_us, account_mark, synced_us, due_us, hooked_us)"
            f" VALUES (?, ?, ?, 1, x'61', 1, CASE WHEN ?3 = 'ok' THEN {LATER_US} ELSE 0 END, {LATER_US})",
            rows,
        )
        cursor.execute("COMMIT")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., AdapterWorker]]:
    with contextlib.ExitStack() as opened:

        def make(book: LinkBook, web: object, *names: str) -> AdapterWorker:
            ready = {}
            for name in names or PROVIDERS:
                adapter = shipped(name)
                assert adapter.cloud is not None
                adapter = replace(adapter, capability=replace(adapter.capability, budgets=()))
                cloud = replace(adapter.cloud, base_url=f"https://{name}.example", judge=lambda *_: None)
                ready[name] = ReadyAdapter(adapter, cloud, CloudClient("c", "s"))
            return AdapterWorker(
                ready,
                book=book,
                partings=opened.enter_context(PartingBook.open(tmp_path)),
                inbox=opened.enter_context(NoticeInbox.open(tmp_path)),
                people=Everybody(),
                flights=opened.enter_context(contextlib.closing(Flights(tmp_path))),
                web=web,  # type: ignore[arg-type]
                outlet=Log(),
                rng=Random(1),
                now_us=lambda: NOW_US,
            )

        yield make


def steps_of_a_look(worker: AdapterWorker, book: LinkBook) -> int:
    """Hundreds of SQLite's instructions that a look takes where nothing is due."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    async def look() -> None:
        async with asyncio.TaskGroup() as group:
            worker.look(group)

    asyncio.run(look())  # the first one sweeps
    worker._unswept.clear()
    for connection in (book._db, worker._partings._db, worker._inbox._db):
        connection.set_progress_handler(count, 100)
    asyncio.run(look())
    return steps


def test_a_look_costs_the_same_however_many_links_there_are(
    tmp_path: Path, worker: Callable[..., AdapterWorker]
) -> None:
    with LinkBook.open(tmp_path) as book:
        fill(book, 100)
        few = steps_of_a_look(worker(book, None), book)
        book._db.execute("DELETE FROM links")
        fill(book, 10_000)
        many = steps_of_a_look(worker(book, None), book)
    assert many <= few + 10, "no table is looked through"


def test_one_slow_provider_keeps_no_other_waiting(tmp_path: Path, worker: Callable[..., AdapterWorker]) -> None:
    """Its requests never end until the other's link has been fetched."""
    done = threading.Event()
    asked: list[str] = []

    def ask(request: CloudRequest) -> CloudAnswer:
        host = urlsplit(request.url).hostname or ""
        asked.append(host)
        if host == "oura.example":
            assert done.wait(PATIENCE_S), "the other one waits for this"
        return CloudAnswer(status=200, body=b"{}")

    web = type("Scripted", (), {"ask": staticmethod(ask)})()
    with LinkBook.open(tmp_path) as book:
        here = worker(book, web, "oura", "dexcom")
        for number in range(40):
            agree(book, f"slow{number}", "oura")
        agree(book, "quick", "dexcom")

        async def run() -> None:
            async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
                here.look(group)
                while book.of("quick", "dexcom").synced_us == 0:  # noqa: ASYNC110  # a row is waited for
                    await asyncio.sleep(0)
                done.set()

        asyncio.run(run())
        assert book.of("quick", "dexcom").state == "ok"
        assert asked.count("oura.example") >= 8
    here.close()


def agree(book: LinkBook, user: str, provider: str) -> None:
    book.agree(user, provider, Tokens(f"a-{user}", "r", NOW_US * 2, account="x"), "all", NOW_US)
