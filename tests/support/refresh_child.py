"""One of two processes that find the same tokens expired: each fetches every link once, when both are ready."""

import asyncio
import json
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from random import SystemRandom

from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.web import DirectWeb
from healthsync_mqtt.adapters.worker import AdapterWorker
from healthsync_mqtt.linked.flights import Flights
from healthsync_mqtt.linked.inbox import NoticeInbox
from healthsync_mqtt.linked.parting import PartingBook
from tests.support.adapter_child import Everybody, HttpOutlet, ready_at


async def fetch_all(data: Path, log_url: str, urls: dict[str, str]) -> dict[str, str]:
    """The state of each link after its fetch."""
    with ExitStack() as opened:
        book = opened.enter_context(LinkBook.open(data))
        worker = AdapterWorker(
            {name: ready_at(url, name) for name, url in urls.items()},
            book=book,
            partings=opened.enter_context(PartingBook.open(data)),
            inbox=opened.enter_context(NoticeInbox.open(data)),
            people=Everybody(),
            flights=opened.enter_context(closing(Flights(data))),
            web=DirectWeb(timeout_s=30.0),
            outlet=HttpOutlet(log_url),
            rng=SystemRandom(),
        )
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        links = book.links()
        done = await asyncio.gather(*(worker.fetch(link, asked=True) for link in links))
        worker.close()
        return {link.provider: str(each["state"]) for link, each in zip(links, done, strict=True)}


if __name__ == "__main__":
    found = asyncio.run(fetch_all(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
    sys.stdout.write(json.dumps(found) + "\n")
