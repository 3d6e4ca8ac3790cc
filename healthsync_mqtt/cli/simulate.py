"""healthsync simulate …"""

import asyncio
import contextlib
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.installation import DataDirectory, device_made_if_missing
from healthsync_mqtt.cli.options import DATA, Data, Json, date_of, now_us, operator, seconds
from healthsync_mqtt.cli.progress_bar import progress
from healthsync_mqtt.cli.publication import Summary, connected, device_client, tell_taken_over
from healthsync_mqtt.client import Credentials
from healthsync_mqtt.client.simulation import simulated_events
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import ConflictError, UsageError
from healthsync_mqtt.identity.consent.decisions import USUAL_PURPOSES

DEFAULT_USER = "sim"


def simulate(
    *,
    devices: Annotated[int, typer.Option(min=1, max=10_000, help="How many watches.")] = 1,
    rate: Annotated[float, typer.Option(min=0.01, help="Events per second of each watch.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and day give the same events.")] = 1,
    duration: Annotated[str | None, typer.Option(help="How long: 30s, 10m, 1h.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Events of each watch.")] = None,
    user: Annotated[
        str, typer.Option(help="Whose watches; `sim` is added when missing.", autocompletion=completion.users)
    ] = DEFAULT_USER,
    day: Annotated[str | None, typer.Option(help="The day they measured, 2026-11-22; default: yesterday.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=500, help="Events in one message.")] = 1,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Publish plausible days of simulated watches: heart rate, steps, sleep, weight, meals, …

    Without --duration and --count it ends with Ctrl-C.

    Example: healthsync simulate --devices 20 --rate 5 --seed 7 --duration 1m
    """
    if duration is not None and count is not None:
        raise UsageError("--duration or --count?", hint="leave one of them out")
    each = round(rate * seconds(duration)) if duration is not None else count
    place = DataDirectory(data)
    if user != DEFAULT_USER:
        place.expect_added(user)
    service = ServiceFile.read(data)
    with place.registry() as registry:
        if user == DEFAULT_USER:
            with contextlib.suppress(ConflictError):
                registry.add_user(user, "all", now_us(), recorded_by=operator())
                place.audit("user.added", user=user)
                place.audit("consent.granted", user=user, types="*", purposes=USUAL_PURPOSES)
                output.say(f"added the user {user}")
        names = [f"sim-{number:04d}" for number in range(devices)]
        found = [device_made_if_missing(registry, user, name, now_us()) for name in names]
    known = [device for device, _ in found]
    for device, added in found:
        if added:
            place.audit("device.added", user=user, device=device.device_id)
    logins = [place.credentials(device) for device in known]
    tell_taken_over(data, [device.client_id for device in known])
    summary = Summary()
    with progress("simulating", None if each is None else each * devices) as moved:
        work = _Simulation(service, summary, rate=rate, batch=batch, moved=moved)
        try:
            asyncio.run(work.run(logins, seed, date_of(day, now_us()), each))
        except KeyboardInterrupt:
            output.say("")
    summary.show(as_json=json, user_id=user, devices=devices, seed=seed)
    if summary.rejected:
        raise typer.Exit(1)


class _Simulation:
    def __init__(self, service: ServiceFile, summary: Summary, *, rate: float, batch: int, moved: Any) -> None:
        self._service = service
        self._summary = summary
        self._rate = rate
        self._batch = batch
        self._moved = moved
        self._connecting = asyncio.Semaphore(20)

    async def run(self, logins: list[Credentials], seed: int, day: datetime, each: int | None) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for login in logins:
                    group.create_task(self._watch(login, seed, day, each))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _watch(self, login: Credentials, seed: int, day: datetime, each: int | None) -> None:
        loop = asyncio.get_running_loop()
        events = islice(simulated_events(seed, login.device_id, day), each)
        async with contextlib.AsyncExitStack() as stack:
            async with self._connecting:
                client = await stack.enter_async_context(
                    connected(lambda: device_client(self._service, login), new=True)
                )
            start, sent = loop.time(), 0
            async with asyncio.TaskGroup() as group:
                slots = asyncio.Semaphore(8)
                while piece := list(islice(events, self._batch)):
                    await asyncio.sleep(max(0.0, start + sent / self._rate - loop.time()))
                    await slots.acquire()
                    group.create_task(self._publish(client, piece, slots))
                    sent += len(piece)

    async def _publish(self, client: Any, piece: list[dict[str, Any]], slots: asyncio.Semaphore) -> None:
        try:
            results = await client.publish(piece)
        finally:
            slots.release()
        self._summary.add(results)
        self._moved(len(results))
