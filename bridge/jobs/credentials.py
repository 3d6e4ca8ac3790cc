"""Keys and certificates that change while the service runs: looked at again and again, in a thread."""

import asyncio
import time
from collections.abc import Callable

from healthsync_mqtt.identity.certificates.server_tls import ServerTls
from healthsync_mqtt.identity.keys.store import LiveKeys
from healthsync_mqtt.identity.login.proof import Login


class KeyWatch:
    """Signing keys as they are on disk; ``void`` closes the connections of logins that a retired key let in."""

    def __init__(self, keys: LiveKeys, void: Callable[[Callable[[Login], bool]], None]) -> None:
        self._keys = keys
        self._void = void

    async def look(self) -> None:
        """Read again. ConfigError or StoreError: what was read before holds."""
        gone = await asyncio.to_thread(self._keys.refresh, time.time_ns() // 1000)
        if gone:
            self._void(lambda login: login.kid in gone)


class CertificateWatch:
    """The server's certificate: renewed before its end, and in use soon after it was replaced."""

    def __init__(self, tls: ServerTls) -> None:
        self._tls = tls

    async def look(self) -> None:
        """Renew, try and use what is on disk. ConfigError or StoreError: what is in use stays in use."""
        if await asyncio.to_thread(self._tls.upkeep, time.time()):
            self._tls.reload()
