"""The process of the adapters: ``python -m healthsync_mqtt.adapters --data DIR --broker 127.0.0.1:1883``.

When stdin ends the service is gone and so is this process. Each second it says on stdout that it works.
"""

import argparse
import asyncio
import contextlib
import resource
import sys
from pathlib import Path
from random import SystemRandom
from typing import Final

from healthsync_mqtt.adapters.broker_outlet import BrokerOutlet
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.ready_adapters import LiveReady
from healthsync_mqtt.adapters.user_standing import RegisteredPeople
from healthsync_mqtt.adapters.web import DirectWeb
from healthsync_mqtt.adapters.worker import AdapterWorker
from healthsync_mqtt.cloud_links.flights import Flights
from healthsync_mqtt.cloud_links.former_links import PartingBook
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.control.service_file import split_address
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.login.adapters import ADAPTERS
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.mqtt.links.port import Address
from healthsync_mqtt.telemetry.log import configure, get_logger
from healthsync_mqtt.telemetry.parent import end_of_stdin, give_way, tell
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("adapters")

_NICE: Final = 5
_STATUS_S: Final = 1.0


async def work(settings: Settings, broker: Address) -> None:
    """Fetch until stdin ends."""
    credentials = CredentialStore(settings.paths.credentials)
    outlet = BrokerOutlet(
        broker,
        TopicRegistry.load(settings.topics_file),
        lambda: credentials.need(ADAPTERS.client_id, "start the service"),
    )
    flights = Flights(settings.data)
    with (
        LinkBook.open(settings.data) as book,
        PartingBook.open(settings.data) as partings,
        NoticeInbox.open(settings.data) as inbox,
        Registry.open(settings.paths.registry_db) as registry,
        contextlib.closing(flights),
    ):
        live = LiveReady(settings.data)
        worker = AdapterWorker(
            live.now(),
            renewed=live.now,
            book=book,
            partings=partings,
            inbox=inbox,
            people=RegisteredPeople(registry),
            flights=flights,
            web=DirectWeb(),
            outlet=outlet,
            rng=SystemRandom(),
        )
        tasks = [
            asyncio.create_task(outlet.run(), name="adapters.outlet"),
            asyncio.create_task(worker.run(), name="adapters.worker"),
            asyncio.create_task(_status(worker), name="adapters.status"),
            asyncio.create_task(end_of_stdin(), name="adapters.over"),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        worker.close()
        for task in done:
            task.result()


async def _status(worker: AdapterWorker) -> None:
    while True:
        tell({"status": {"fetched": worker.fetched}})
        await asyncio.sleep(_STATUS_S)


def main(arguments: list[str]) -> int:
    """The exit code is 0 after the end of stdin, and an error's own otherwise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--broker", required=True)
    said = parser.parse_args(arguments)
    try:
        settings = load_settings(said.data)
        configure(settings.log.level, settings.log.format)
        give_way(_NICE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        host, port = split_address(said.broker)
        asyncio.run(work(settings, Address(host=host, port=port)))
    except HealthSyncError as error:
        log.error("adapters.stopped", error=error)  # noqa: TRY400  # no traceback
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
