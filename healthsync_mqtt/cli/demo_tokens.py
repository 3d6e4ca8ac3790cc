"""The logins of README's reader, in files of the data directory, and kept valid while ``up --demo`` runs."""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from healthsync_mqtt.cli.demo import USER
from healthsync_mqtt.cli.installation import DataDirectory, device_made_if_missing
from healthsync_mqtt.cli.options import now_us
from healthsync_mqtt.config.private_files import write_durably
from healthsync_mqtt.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

DEVICE: Final = "watch"
SUBSCRIBER: Final = "demo-app"
_LONGEST_PAUSE_S = 60.0


class DemoTokens:
    """``demo-watch.token`` and ``demo-app.token``; who they are for is added when missing.

    A file is replaced when half of ``lifetime_s`` is over, so that what a reader copies from it works for a while.
    """

    def __init__(self, place: DataDirectory, lifetime_s: int) -> None:
        self._lifetime_s = lifetime_s
        self._place = place
        self._made: dict[str, Callable[[], dict[str, Any]]] = {
            "demo-watch.token": self._watch,
            "demo-app.token": self._app,
        }

    def renew(self) -> list[str]:
        """Write the files that are missing or half over; their names. The demo's user must be there."""
        old = [name for name in self._made if self._half_over(name)]
        for name in old:
            write_durably(self._place.path / name, self._made[name]()["token"].encode())
        return old

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            await asyncio.sleep(min(self._lifetime_s / 10, _LONGEST_PAUSE_S))
            await asyncio.to_thread(self.renew)

    def _half_over(self, name: str) -> bool:
        try:
            age_s = time.time() - (self._place.path / name).stat().st_mtime
        except FileNotFoundError:
            return True
        return not 0 <= age_s < self._lifetime_s / 2

    def _watch(self) -> dict[str, Any]:
        with self._place.registry() as registry:
            device, added = device_made_if_missing(registry, USER, DEVICE, now_us())
        if added:
            self._place.audit("device.added", user=USER, device=DEVICE)
        return self._place.device_identity(device, lifetime_s=self._lifetime_s)

    def _app(self) -> dict[str, Any]:
        with self._place.changing() as change:
            try:
                found = change.registry.subscriber(SUBSCRIBER)
            except NotFoundError:
                found = change.registry.add_subscriber(SUBSCRIBER, [USER], "*", now_us())
                change.note("subscriber.added", name=SUBSCRIBER, users=1, types="*")
        return self._place.identity(
            found.principal, user_id=None, device_id=None, lifetime_s=self._lifetime_s, epoch=found.token_epoch
        )
