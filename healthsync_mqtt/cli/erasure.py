"""Waiting for an erasure, by the running service or, where none runs, in a composition of it that serves nobody."""

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.erasure import ErasureStep

_WITHIN_S: Final = 60.0
_LOOK_S: Final = 0.1


def erased(place: DataDirectory, erasure_id: str) -> dict[str, Any]:
    """``erased``: nothing of the person is left here; ``pending``: what is not done, here or at sinks."""
    until = time.monotonic() + _WITHIN_S
    try:
        call(place.path, "status")
    except UnavailableError:
        asyncio.run(_alone(place, _WITHIN_S))
    while True:
        found = state(place, erasure_id)
        if found["erased"] or time.monotonic() >= until:
            return found
        time.sleep(_LOOK_S)


def state(place: DataDirectory, erasure_id: str) -> dict[str, Any]:
    """How far an erasure is."""
    with place.registry() as registry:
        erasure, pending = registry.erasures.get(erasure_id), registry.erasures.pending(erasure_id)
    step = ErasureStep.done if erasure is None else erasure.step
    done = step is ErasureStep.done
    return {"erased": done, "pending": pending if done else sorted({step.value, *pending})}


def whole(shown: dict[str, Any]) -> str:
    """What is said when nothing is left here."""
    left = "".join(f"; {each} has not confirmed yet: healthsync status" for each in shown["pending"])
    return f"erased{left}"


async def _alone(place: DataDirectory, within_s: float) -> None:
    """The service's own steps, in this process; no port is opened."""
    from bridge.embedded import EmbeddedEdge
    from bridge.service import Service

    async with Service.open(load_settings(place.path), EmbeddedEdge.open) as service:
        if service.erasures is not None:
            with suppress(TimeoutError):  # what waits for a sink, whose process only a service starts, stays pending
                async with asyncio.timeout(within_s):
                    await service.erasures.finish()
