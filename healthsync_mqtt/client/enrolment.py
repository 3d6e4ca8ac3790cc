"""How a device gets its credentials for a one-time code, and new ones for its refresh token, without being told."""

import asyncio
import contextlib
import json
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from healthsync_mqtt.client.backoff import Clock, SystemClock
from healthsync_mqtt.client.credentials import Credentials, lifetime
from healthsync_mqtt.client.transport import ConnectionLostError, Transport
from healthsync_mqtt.config.private_files import make_private_directory, write_durably
from healthsync_mqtt.errors import DeniedError, InputError, StoreError
from healthsync_mqtt.mqtt.links.client import MqttTransport, tls_context
from healthsync_mqtt.mqtt.links.manners import PLAIN, Manners
from healthsync_mqtt.topics.registry import TopicRegistry

_LOG = logging.getLogger("healthsync_mqtt.client")
LOGIN: Final = "enroll"
ANSWER_WITHIN_S: Final = 15.0
_MARGIN_S: Final = 60.0
"""A token that ends so soon is replaced before it is used."""

_CREDENTIALS_BYTES: Final = 4_096
_BEGUN: Final = re.compile(rf"{LOGIN}-[0-9a-f]{{16}}")

MakeTransport = Callable[[str], Transport]
"""A transport that logs in as ``enroll`` with the given client id."""


def lobby_transport(host: str, port: int, *, ca_file: Path | None, tls: bool) -> MakeTransport:
    """How a client connects that has a code or a refresh token and nothing else."""
    context = tls_context(ca_file) if tls else None
    manners = Manners(PLAIN)
    return lambda client_id: MqttTransport(
        host=host, port=port, client_id=client_id, username=LOGIN, tls=context, manners=manners
    )


async def enroll(
    host: str,
    port: int = 8883,
    *,
    code: str,
    save_to: Path | None = None,
    ca_file: Path | None = None,
    tls: bool = True,
    topics: TopicRegistry | None = None,
    transport: MakeTransport | None = None,
) -> Credentials:
    """Exchange the code of ``healthsync device enroll`` for credentials, saved to ``save_to`` (mode 0600).

    A DeviceClient that is given them renews them by itself, and keeps the file current. Raises DeniedError for a code
    that is wrong, used or expired, and UnavailableError when the service cannot be reached.

    When the answer is lost, the same client asks once more: for a minute the service answers it again, also a program
    that was ended and started anew with the same ``save_to``. StoreError when the file cannot be written, before the
    code is used.
    """
    await asyncio.to_thread(_try_writing, save_to)
    make = transport or lobby_transport(host, port, ca_file=ca_file, tls=tls)
    names, client_id = topics or TopicRegistry.load(None), await asyncio.to_thread(_begun_as, save_to)
    try:
        try:
            answer = await exchange(make, names, code, {}, client_id)
        except ConnectionLostError:
            answer = await exchange(make, names, code, {}, client_id)
    except DeniedError:
        _forget_begun(save_to)
        raise
    credentials = Credentials.from_mapping(answer, file=save_to)
    try:
        await asyncio.to_thread(credentials.save)
    except OSError as error:
        # The code is used: what it brought is not thrown away, and is good until it has to be renewed.
        _LOG.warning("client.credentials_not_saved %s", error.__class__.__name__)
    else:
        _forget_begun(save_to)
    return credentials


def _begun_as(path: Path | None) -> str:
    """The client id to enrol as: the one of an attempt for this file that had no end, else a new one, written down."""
    if path is None:
        return f"{LOGIN}-{secrets.token_hex(8)}"
    note = _note_beside(path)
    try:
        known = note.read_text(encoding="ascii")
    except (OSError, ValueError):
        known = ""
    if not _BEGUN.fullmatch(known):
        known = f"{LOGIN}-{secrets.token_hex(8)}"
        with contextlib.suppress(OSError):  # then a lost answer can be asked for by this run alone
            write_durably(note, known.encode())
    return known


def _forget_begun(path: Path | None) -> None:
    if path is not None:
        with contextlib.suppress(OSError):
            _note_beside(path).unlink(missing_ok=True)


def _note_beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.enrolling")


def _try_writing(path: Path | None) -> None:
    """Write as much beside ``path`` as credentials take, and take it away again."""
    if path is None:
        return
    trial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.trial")
    try:
        if not path.parent.exists():
            make_private_directory(path.parent)
        write_durably(trial, bytes(_CREDENTIALS_BYTES))
    except OSError as error:
        raise StoreError(
            f"credentials cannot be saved to {path}: {error.strerror}",
            hint="free disk space, or name another file; the code is still good",
        ) from error
    finally:
        trial.unlink(missing_ok=True)


async def exchange(
    make: MakeTransport, topics: TopicRegistry, secret: str, request: dict[str, str], client_id: str | None = None
) -> dict[str, Any]:
    """One request in the lobby, and its answer. Raises DeniedError when refused, ConnectionLostError without one."""
    client_id = client_id or f"{LOGIN}-{secrets.token_hex(8)}"
    transaction = secrets.token_hex(8)
    response = topics.build("enroll_response", client=client_id)
    async with make(client_id).connect(secret) as connection:
        await connection.subscribe(response)
        body = json.dumps(request | {"transaction": transaction}).encode()
        await connection.publish(topics.build("enroll_request", client=client_id), body)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                async for topic, payload in connection.messages():
                    if topic == response:
                        return _granted(payload, transaction)
        except TimeoutError:
            pass
    raise ConnectionLostError("the service did not answer", hint="see: healthsync status")


class Renewal:
    """The access token of a device, renewed in time: what a DeviceClient asks for before each connection.

    New credentials are written before they are used, where the disk takes them: the one before is void by then. When
    the answer is lost the same request is made again, and the service gives the same answer for a minute.
    """

    def __init__(
        self,
        credentials: Credentials,
        make: MakeTransport,
        *,
        topics: TopicRegistry,
        clock: Clock | None = None,
    ) -> None:
        self.credentials = credentials
        self._make = make
        self._topics = topics
        self._clock: Clock = clock or SystemClock()
        self._refused = False
        self._unsaved = False
        #: until when the token is good that was got here, by the clock that nobody sets; None: it was read from a file
        self._good_until: float | None = None

    async def __call__(self) -> str:
        """A token that is good for at least a minute. Raises DeniedError, ConnectionLostError."""
        if self._unsaved:
            await self._save()
        known = self.credentials
        if known.refresh_token is None or (not self._refused and self._is_good()):
            return known.token
        answer = await exchange(self._make, self._topics, known.refresh_token, {"refresh_token": known.refresh_token})
        renewed = replace(Credentials.from_mapping(answer), file=known.file)
        # The service has changed already: with a full disk they are used all the same, and written when they can be.
        self.credentials, self._refused, self._unsaved = renewed, False, True
        lives_s = lifetime(renewed.token)
        self._good_until = self._clock.monotonic() + lives_s if lives_s else None
        await self._save()
        return renewed.token

    def _is_good(self) -> bool:
        """Whether the token has a minute left: by how long it was got ago, and by a clock that may be wrong else."""
        if self._good_until is not None:
            return self._clock.monotonic() < self._good_until - _MARGIN_S
        ends = self.credentials.expires_at
        return ends is None or self._clock.time() < ends - _MARGIN_S

    async def _save(self) -> None:
        try:
            await asyncio.to_thread(self.credentials.save)
        except OSError as error:
            _LOG.warning("client.credentials_not_saved %s", error.__class__.__name__)
        else:
            self._unsaved = False

    def refused(self) -> bool:
        """The service refused the token; whether another one can be had at once."""
        again = self.credentials.refresh_token is not None and not self._refused
        self._refused = True
        return again


def _granted(payload: bytes, transaction: str) -> dict[str, Any]:
    try:
        answer = json.loads(payload)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or answer.get("transaction") != transaction:
        raise InputError("the service's answer is not one to our request")
    if answer.get("status") != "ok":
        raise DeniedError(
            f"the service gave no credentials: {answer.get('message', 'refused')}",
            hint="ask for a new code: healthsync device enroll USER DEVICE",
        )
    return answer
