"""The installation that a gateway belongs to: its data directory, and the service that runs on it, if one does."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from healthsync_mqtt.control.channel import call
from healthsync_mqtt.descriptions.service import LiveClients, live_clients
from healthsync_mqtt.gateway.bodies.problem import kept_at_home
from healthsync_mqtt.gateway.registry.deeds import carried_out
from healthsync_mqtt.identity.audit.log import AuditLog

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything here blocks, so it is asked beside the loop."""

    data: Path
    registry: Path
    summaries: Path
    audit: AuditLog
    home: bool = True
    """Whether the files about persons and sinks are here; else another machine of the installation has them."""

    def expect_home(self) -> None:
        """HttpError 503 where those files are elsewhere."""
        if not self.home:
            raise kept_at_home()

    async def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """What the running service says. HttpError 400, 404; UnavailableError without a service."""
        return await self.ask(lambda: call(self.data, verb, **arguments))

    async def live(self) -> LiveClients | None:
        """Who is connected; None without a service."""
        return await asyncio.to_thread(live_clients, self.data)

    async def ask(self, question: Callable[[], T]) -> T:
        """The answer to a question that files have. HttpError 400 or 404."""
        return await carried_out(asyncio.to_thread(question))
