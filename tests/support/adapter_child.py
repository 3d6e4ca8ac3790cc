"""A worker of adapters as a process, to be killed: provider and log are ports of this machine, the files are real."""

import asyncio
import contextlib
import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import SystemRandom

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.adapters.cloud import CloudClient
from healthsync_mqtt.adapters.fetch import CommittedEvents
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.user_standing import UserStanding
from healthsync_mqtt.adapters.web import DirectWeb
from healthsync_mqtt.adapters.worker import AdapterWorker
from healthsync_mqtt.cloud_links.flights import Flights
from healthsync_mqtt.cloud_links.former_links import PartingBook
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from healthsync_mqtt.errors import UnavailableError
from tests.support.cloud_scenes import SCENES
from tests.support.clouds import CLIENT, SECRET

_POLL_S = 0.5


def ready_at(url: str, provider: str = "oura") -> ReadyAdapter:
    """A provider at an address of this machine, asked again and again for one kind of records."""
    adapter, scene = shipped(provider), SCENES[provider]
    assert adapter.cloud is not None
    capability = replace(adapter.capability, budgets=(), history_days=30, again_days=30)
    cloud = replace(
        adapter.cloud,
        base_url=url,
        auth_url=f"{url}{scene.manners.auth_path}",
        token_url=f"{url}{scene.manners.token_path}",
        endpoints=tuple(each for each in adapter.cloud.endpoints if each.kind == scene.kind and not scene.pushes),
    )
    return ReadyAdapter(replace(adapter, capability=capability), cloud, CloudClient(CLIENT, SECRET), _POLL_S)


class HttpOutlet:
    """Events go to the log by HTTP, and are counted when it has them."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def publish(self, user: str, provider: str, payload: bytes) -> CommittedEvents:
        """See ``adapters.fetch.EventOutlet``."""
        del user, provider
        try:
            return CommittedEvents(**await asyncio.to_thread(self._posted, payload))
        except OSError as error:
            raise UnavailableError(str(error)) from None

    async def retain(self, user: str, provider: str, state: dict[str, object]) -> None:
        """Nobody reads it here."""

    def _posted(self, payload: bytes) -> dict[str, int]:
        with urllib.request.urlopen(self._url, payload, timeout=30) as answer:  # of this machine
            found: dict[str, int] = json.loads(answer.read())
            return found


class Everybody:
    """All users are there."""

    def standing(self, user: str) -> UserStanding:
        """See ``adapters.user_standing.People``."""
        del user
        return UserStanding.here

    def version(self) -> int:
        """See ``adapters.user_standing.People``."""
        return 0


@contextlib.contextmanager
def worker_at(data: Path, log_url: str, urls: Mapping[str, str], timeout_s: float) -> Iterator[AdapterWorker]:
    """A worker on the files of a data directory; providers are at ``urls``, by their names."""
    with (
        LinkBook.open(data) as book,
        PartingBook.open(data) as partings,
        NoticeInbox.open(data) as inbox,
        contextlib.closing(Flights(data)) as flights,
    ):
        worker = AdapterWorker(
            {name: ready_at(url, name) for name, url in urls.items()},
            book=book,
            partings=partings,
            inbox=inbox,
            people=Everybody(),
            flights=flights,
            web=DirectWeb(timeout_s=timeout_s),
            outlet=HttpOutlet(log_url),
            rng=SystemRandom(),
        )
        with contextlib.closing(worker):
            yield worker


async def work(data: Path, url: str, log_url: str, provider: str) -> None:
    """Until it is killed."""
    with worker_at(data, log_url, {provider: url}, timeout_s=5.0) as worker:
        await worker.run()


def run(data: Path, url: str, log_url: str, provider: str) -> None:
    """The same, for a process that begins here."""
    asyncio.run(work(data, url, log_url, provider))


if __name__ == "__main__":
    run(Path(sys.argv[1]), *sys.argv[2:5])
