"""The simulated watch of ``up --demo``."""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from healthsync_mqtt.cli.installation import DataDirectory, device_made_if_missing
from healthsync_mqtt.cli.options import date_of, now_us, operator
from healthsync_mqtt.cli.publication import connected, device_client
from healthsync_mqtt.client import Credentials
from healthsync_mqtt.client.simulation import simulated_events
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import ConflictError
from healthsync_mqtt.identity.consent.decisions import USUAL_PURPOSES

USER = "demo"
DEVICE = "simulator"
"""No name that a reader would give: README's own device of the same user is ``watch``."""
_PAUSE_S = 0.1
_TOGETHER = 5


def demo_login(place: DataDirectory, lifetime_s: int) -> Credentials:
    """A new login of the simulator that lives for ``lifetime_s``; its user and device are added when missing."""
    with place.registry() as registry:
        with contextlib.suppress(ConflictError):
            registry.add_user(USER, "all", now_us(), recorded_by=operator())
            place.audit("user.added", user=USER)
            place.audit("consent.granted", user=USER, types="*", purposes=USUAL_PURPOSES)
        device, added = device_made_if_missing(registry, USER, DEVICE, now_us())
    if added:
        place.audit("device.added", user=USER, device=DEVICE)
    return Credentials.from_mapping(place.device_identity(device, lifetime_s=lifetime_s))


async def run_watch(service: ServiceFile, place: DataDirectory, lifetime_s: int) -> None:
    """Publish a simulated day over TLS, some fifty events a second, until cancelled; a new login comes in time.

    Now and then it repeats an event and sends one that no body produces, so that every counter of the view moves.
    """
    seed = int(time.time())
    events = _with_mishaps(simulated_events(seed, DEVICE, date_of(None, now_us())), random.Random(seed))  # noqa: S311
    while True:
        login = await asyncio.to_thread(demo_login, place, lifetime_s)
        until = time.monotonic() + lifetime_s / 2
        async with connected(partial(device_client, service, login, fail_when_denied=False), new=True) as client:
            while time.monotonic() < until:
                await client.publish([next(events) for _ in range(_TOGETHER)])
                await asyncio.sleep(_PAUSE_S)


def _with_mishaps(events: Iterator[dict[str, Any]], rng: random.Random) -> Iterator[dict[str, Any]]:
    for number, event in enumerate(events):
        yield event
        if rng.random() < 0.02:
            yield event
        if number % 400 == 399:
            yield event | {"id": f"{event['id']}-odd", "type": "heart_rate", "value": {"bpm": 900}}
