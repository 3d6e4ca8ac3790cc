"""Publishing from a command: a client of the running service, a summary from the receipts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.installation import DataDirectory, device_made_if_missing
from healthsync_mqtt.cli.options import now_us
from healthsync_mqtt.client import Credentials, DeviceClient, Rejected, Results
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.control.service_file import ServiceFile, split_address
from healthsync_mqtt.errors import DeniedError, HealthSyncError
from healthsync_mqtt.identity.people.records import Device

CHUNK = 1000
_NEW_DEVICE_S = 3.0


@dataclass(slots=True)
class Summary:
    """What the receipts said."""

    events: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    held: int = 0
    """Of the rejected: those that the service has taken aside until their time has come."""

    def add(self, results: Results) -> None:
        """Count one publish."""
        self.events += len(results)
        self.stored += results.stored
        self.duplicate += results.duplicate
        self.rejected += results.rejected
        for result in results if results.rejected else ():
            if isinstance(result, Rejected):
                self.held += result.held
                self.reasons[result.reason] = self.reasons.get(result.reason, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """The keys of ``--json``."""
        return {
            "events": self.events,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
            "held": self.held,
            "rejected_by_reason": dict(sorted(self.reasons.items())),
        }

    def show(self, *, as_json: bool, **more: Any) -> None:
        """Print the summary."""
        if as_json:
            output.emit(more | self.as_dict())
            return
        reasons = ", ".join(f"{reason} {number}" for reason, number in sorted(self.reasons.items()))
        held = [("of these held", f"{self.held}: they are stored when their time has come")] if self.held else []
        output.facts(
            [
                *more.items(),
                ("stored", self.stored),
                ("duplicate", self.duplicate),
                ("rejected", f"{self.rejected} ({reasons})" if reasons else self.rejected),
                *held,
            ]
        )


def device_client(service: ServiceFile, credentials: Credentials, **options: Any) -> DeviceClient:
    """A client of the running service over TLS."""
    host, port = split_address(service.mqtts)
    options = {"fail_when_denied": True} | options
    return DeviceClient(host, port, credentials=credentials, ca_file=Path(service.ca_file), **options)


def device_to_publish_as(place: DataDirectory, user: str, device: str) -> tuple[Device, bool]:
    """The device, and whether it had to be added; who loses a connection by it is said. NotFoundError: no such user."""
    with place.registry() as registry:
        known, added = device_made_if_missing(registry, user, device, now_us())
    if added:
        place.audit("device.added", user=user, device=device)
        output.say(f"added the device {device} of {user}")
    tell_taken_over(place.path, [known.client_id])
    return known, added


def tell_taken_over(data: Path, client_ids: Iterable[str]) -> None:
    """Say whose connections end now: a device has one, and whoever connects with its name takes it over."""
    wanted = set(client_ids)
    with contextlib.suppress(HealthSyncError):
        for each in call(data, "clients", within_s=5.0)["clients"]:
            if each["client_id"] in wanted:
                output.say(
                    f"{each['client_id']} is connected, from {each['address']}: this takes its connection over, and "
                    "it takes it back when it comes again; under a device of its own this disturbs nobody: --device"
                )


@contextlib.asynccontextmanager
async def connected(make: Callable[[], DeviceClient], *, new: bool) -> AsyncIterator[DeviceClient]:
    """A connected client. The service learns of a ``new`` device within a second; until then it refuses the login."""
    loop = asyncio.get_running_loop()
    patience = loop.time() + (_NEW_DEVICE_S if new else 0.0)
    while True:
        client = make()
        try:
            await client.__aenter__()
        except DeniedError:
            if loop.time() >= patience:
                raise
            await asyncio.sleep(0.2)
            continue
        break
    try:
        yield client
    finally:
        await client.close()


async def paced(events: Sequence[dict[str, Any]], rate: float | None) -> AsyncIterator[Sequence[dict[str, Any]]]:
    """``events`` in pieces: large ones, or small ones so that ``rate`` a second leave."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    size = CHUNK if rate is None else max(1, min(CHUNK, round(rate / 10)))
    for position in range(0, len(events), size):
        if rate is not None:
            await asyncio.sleep(max(0.0, start + position / rate - loop.time()))
        yield events[position : position + size]


async def publish_all(
    client: DeviceClient, events: Sequence[dict[str, Any]], rate: float | None, moved: Callable[[int], None]
) -> Summary:
    """Publish and wait for every receipt; several pieces are on their way at once unless ``rate`` slows them."""
    summary = Summary()
    slots = asyncio.Semaphore(8)

    async def one(piece: Sequence[dict[str, Any]]) -> None:
        try:
            results = await client.publish(piece)
        finally:
            slots.release()
        summary.add(results)
        moved(len(results))

    try:
        async with asyncio.TaskGroup() as group:
            async for piece in paced(events, rate):
                await slots.acquire()
                group.create_task(one(piece))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return summary
