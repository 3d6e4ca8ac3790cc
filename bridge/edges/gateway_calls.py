"""Deliveries that the HTTP gateway brought over an external broker: each is answered when it is durable.

They come on a topic that the gateway alone may publish on, in the name of devices that it has let in. What they carry
is treated as if the device had published it itself, and so is the message: it is acknowledged to the broker after the
commit. A bridge that was killed before that gets it again, and answers then.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from healthsync_mqtt.broker.external.canary_world import is_canary
from healthsync_mqtt.errors import InputError
from healthsync_mqtt.model.delivery import DeliveryVerdict, Source
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.mqtt.gateway_calls import GatewayCall, encode_answer, read_call
from healthsync_mqtt.mqtt.replies import of_verdict
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")

REQUEST: Final = "gateway_request"
ANSWER: Final = "gateway_answer"
"""The channels of calls and answers; topics files of earlier releases have neither."""
_LINES: Final = 5


class CallMark(NamedTuple):
    """Who waits for an answer, and to which call."""

    client: str
    call: str


class CallReader:
    """Takes calls apart."""

    def __init__(self, registry: TopicRegistry) -> None:
        self._registry = registry
        self._notices = Notices()

    def read(self, message: Publish) -> tuple[CallMark, GatewayCall] | None:
        """The call in a message on the channel of requests; None when it is nothing that a gateway may ask."""
        parsed = self._registry.parse(message.topic.decode())
        if parsed is None or message.retain:
            return None
        client = parsed[1]["client"]
        if is_canary(client):
            return None
        try:
            call = read_call(message.payload)
        except InputError as error:
            self._warn("bridge.gateway_call_unreadable", fix=error.hint)
            return None
        meant = self._registry.parse(call.topic)
        if meant is None or not meant[0].ingest or Role.gateway not in meant[0].roles_publish:
            self._warn("bridge.gateway_call_refused", fix="let the role gateway publish there: healthsync topic list")
            return None
        return CallMark(client, call.call), call

    def _warn(self, event: str, fix: str | None) -> None:
        left_out = self._notices.due(event, time.monotonic(), _LINES)
        if left_out is not None:
            log.warning(event, fix=fix, left_out=left_out)


class CallSource:
    """The calls of one connection (a ``Source``), beside ``source``, which is that of its other deliveries."""

    def __init__(self, source: Source, registry: TopicRegistry, send: Callable[[str, bytes], bool]) -> None:
        """``send`` publishes over the connection that the calls came over."""
        self._source = source
        self._registry = registry
        self._send = send
        self._callers: dict[int, CallMark] = {}

    def note(self, token: int, caller: CallMark) -> None:
        """The delivery with this token is a call."""
        self._callers[token] = caller

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        """Calls are durable: they are answered, then acknowledged. An answer that cannot be sent is asked for again."""
        for token, verdict in zip(tokens, verdicts, strict=True):
            client, call = self._callers.pop(token)
            self._send(self._registry.build(ANSWER, client=client), encode_answer(call, of_verdict(verdict)))
        self._source.acknowledge(tokens)

    def charge(self, cost: int) -> None:
        """See ``LinkSource.charge``."""

    def resume(self) -> None:
        """Read again."""
        self._source.resume()
