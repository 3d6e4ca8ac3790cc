"""``ChangeReader``: what changed since a token, page by page, over any number of lost connections."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from healthsync_mqtt.client.backoff import Backoff, Clock, SystemClock
from healthsync_mqtt.client.transport import ConnectionLostError, DeviceConnection, Transport
from healthsync_mqtt.errors import DeniedError, UnavailableError
from healthsync_mqtt.model.sync_token import SyncTokenError
from healthsync_mqtt.mqtt.links.client import MqttTransport, tls_context
from healthsync_mqtt.topics.registry import TopicRegistry

_ANSWER_WITHIN_S: Final = 30.0
_TOKEN_REASONS: Final = frozenset({"token_expired", "token_foreign", "bad_token"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePage:
    """Some events, and the token after them: keep it when what is in the page was taken in."""

    events: Sequence[Mapping[str, Any]]
    token: str


class ChangeReader:
    """A client that asks for changes. It logs in under ``client_id``: nobody else may be connected under it meanwhile.

    ``async for page in reader.since(token, user="alice")`` ends when there is nothing more at that time. A lost
    connection is made again, and the page that was not told is asked for again. DeniedError for who may not read it;
    SyncTokenError where the token is good for nothing any more: begin anew without one.
    """

    def __init__(
        self,
        host: str,
        port: int = 8883,
        *,
        client_id: str,
        token: str,
        ca_file: Path | None = None,
        tls: bool = True,
        attempts: int = 10,
        backoff: Backoff | None = None,
        topics: TopicRegistry | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        rng: Random | None = None,
    ) -> None:
        self._login = token
        self._attempts = attempts
        self._backoff = backoff or Backoff()
        self._clock: Clock = clock or SystemClock()
        self._rng = rng or Random()  # noqa: S311  # spreads retries; nothing secret
        registry = topics or TopicRegistry.load(None)
        self._request = registry.build("changes_request", client=client_id)
        self._response = registry.build("changes_response", client=client_id)
        self._transport: Transport = transport or MqttTransport(
            host=host, port=port, client_id=client_id, username=client_id, tls=tls_context(ca_file) if tls else None
        )

    async def since(
        self,
        token: str | None = None,
        *,
        user: str | None = None,
        types: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[ChangePage]:
        """The pages after ``token``; None: from the beginning. ConnectionLostError after so many attempts in vain."""
        asked = {"user": user, "types": None if types is None else list(types), "limit": limit}
        request = {name: value for name, value in asked.items() if value is not None}
        failures, more = 0, True
        while more:
            try:
                async with self._transport.connect(self._login) as connection:
                    await connection.subscribe(self._response)
                    messages = aiter(connection.messages())
                    while more:
                        about = request if token is None else request | {"token": token}
                        said = await self._ask(connection, messages, about)
                        failures, token, more = 0, said["token"], bool(said["more"])
                        yield ChangePage(events=said["events"], token=said["token"])
            except ConnectionLostError:
                failures += 1
                if failures >= self._attempts:
                    raise
                await self._clock.sleep(self._backoff.delay(failures, self._rng))

    async def _ask(
        self, connection: DeviceConnection, messages: AsyncIterator[tuple[str, bytes]], request: Mapping[str, Any]
    ) -> dict[str, Any]:
        transaction = secrets.token_hex(8)
        await connection.publish(self._request, json.dumps({**request, "transaction": transaction}).encode())
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                async for topic, payload in messages:
                    said = json.loads(payload) if topic == self._response else {}
                    if said.get("transaction") == transaction:
                        return _checked(said)
        except TimeoutError:
            pass
        raise ConnectionLostError("the service did not answer", hint="see: healthsync status")


def _checked(said: dict[str, Any]) -> dict[str, Any]:
    if said.get("status") == "ok":
        return said
    reason, message = str(said.get("reason")), str(said.get("message"))
    if reason in _TOKEN_REASONS:
        raise SyncTokenError(reason, message)
    if reason == UnavailableError.reason:
        raise UnavailableError(f"the service tells no changes: {message}", hint="see: healthsync status")
    raise DeniedError(
        f"the service tells no changes: {message}", hint="see what may be read: healthsync subscriber list"
    )
