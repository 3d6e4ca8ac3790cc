"""The connection that a bridge or a gateway works on: a refused login is an error that says whose turn it is."""

import contextlib
from collections.abc import AsyncIterator, Callable

from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.mqtt.links.greeting import login_refused, version_refused
from healthsync_mqtt.mqtt.links.link import Link, dial
from healthsync_mqtt.mqtt.links.port import ConnectionLostError, Long, ProtocolRefusedError, Target


@contextlib.asynccontextmanager
async def open_link(
    target: Target, on_messages: Callable[[list[Publish]], None], long: Long | None = None
) -> AsyncIterator[Link]:
    """Connect; ``on_messages`` gets what arrives, from the first read on. ``long`` decides about long messages.

    Raises DeniedError when the login is refused, ProtocolRefusedError when the version is, ConnectionLostError
    otherwise. Only ``close`` says goodbye; anything else is a loss and sends the will.
    """
    async with dial(target.address, on_messages, long) as link:
        try:
            code = await link.login(target)
        except ConnectionLostError as error:
            where = f"{target.address.host}:{target.address.port}"
            raise ProtocolRefusedError(f"{where} closed the connection after CONNECT ({error})") from None
        if version_refused(code):
            raise ProtocolRefusedError("the broker does not speak this version of MQTT")
        if login_refused(code):
            raise DeniedError(
                f"the broker refused the login of {target.account.client_id}",
                hint="give it its credential: healthsync broker provision mosquitto, or the broker's access hooks",
            )
        if code:
            raise ConnectionLostError(f"the broker is not ready to accept connections (code {code})")
        yield link
