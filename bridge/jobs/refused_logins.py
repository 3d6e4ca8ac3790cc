"""Refused logins of the door, written down beside the event loop."""

import asyncio

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.refused_counts import RefusedLoginCounts
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")


class RefusedLogins(RefusedLoginCounts):
    """``note`` is called on the event loop."""

    async def write(self) -> None:
        """``flush`` in a worker thread."""
        await asyncio.to_thread(self.flush)

    async def close(self) -> None:
        """Write what is left; a file that cannot be written does not keep the service from stopping."""
        try:
            await self.write()
        except (HealthSyncError, OSError) as error:
            log.error("bridge.audit_failed", error=error)  # noqa: TRY400  # no traceback
