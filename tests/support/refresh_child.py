"""One of two processes that find the same tokens expired: each fetches every link once, when both are ready."""

import asyncio
import json
import sys
from pathlib import Path

from healthsync_mqtt.adapters.links import LinkBook
from tests.support.adapter_child import worker_at


async def fetch_all(data: Path, log_url: str, urls: dict[str, str]) -> dict[str, str]:
    """The state of each link after its fetch."""
    with LinkBook.open(data) as book, worker_at(data, log_url, urls, timeout_s=30.0) as worker:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        links = book.links()
        done = await asyncio.gather(*(worker.fetch(link, asked=True) for link in links))
        return {link.provider: str(each["state"]) for link, each in zip(links, done, strict=True)}


if __name__ == "__main__":
    found = asyncio.run(fetch_all(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
    sys.stdout.write(json.dumps(found) + "\n")
