"""Events in: what a device or app sends by HTTP is published as its own, and answered when it is durable."""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.broker.embedded.limits.rates import Rates
from healthsync_mqtt.client.exchange import told
from healthsync_mqtt.gateway.bodies.body import read_body
from healthsync_mqtt.gateway.bodies.deprecation import Outdated
from healthsync_mqtt.gateway.bodies.lists import written
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.bodies.room import Room
from healthsync_mqtt.gateway.connections.publisher import NotTakenError, Publisher, SenderGoneError
from healthsync_mqtt.gateway.document.openapi import answers, takes
from healthsync_mqtt.gateway.login.callers import Caller, Callers
from healthsync_mqtt.gateway.login.rules import Sender
from healthsync_mqtt.model.receipt import Receipt, RejectedEvent
from healthsync_mqtt.mqtt.links.port import HEADER, Answer, TooLargeError
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.grammar import TOPIC_MAX_BYTES, TopicError

log = get_logger("gateway")

_REFUSALS: Final = (401, 403, 404, 408, 413, 415, 422, 429, 503)
_ANSWERS: Final = answers("Receipt", "What became of each event.", *_REFUSALS)
_QUOTA: Final = 0x97
_LONGEST_TOPIC: Final = " " * TOPIC_MAX_BYTES
"""Where a body goes is not known before it is read, where its signature says who sent it."""


class EventIntake:
    """Takes bodies of events for the devices that send them."""

    def __init__(
        self,
        *,
        rules: AccessRules,
        publisher: Publisher,
        rates: Rates,
        room: Room,
        most: int,
        still: Callable[[Caller], bool],
    ) -> None:
        """``most`` is what a packet of the broker may have; ``still`` says whether a login is good now."""
        #: bytes of bodies that are here
        self.room = room
        self._still = still
        self._rules = rules
        self._publisher = publisher
        self._rates = rates
        self._most = most
        self._notices = Notices()

    async def take(self, caller: Caller, topic: str, request: Request) -> Receipt:
        """What became of the events in the body. HttpError; after it nothing may be thought stored."""
        self.expect_allowed(caller, topic)
        self._pace(caller)
        with self.room.taken_by(caller.principal.user or caller.principal.client_id) as take:
            return await self._published(caller, topic, await self.body(request, take, topic))

    async def body(self, request: Request, take: Callable[[int], None], topic: str = "") -> bytes:
        """The body of a message, as long as it may be. HttpError."""
        return await read_body(request, self._most - HEADER - len(topic or _LONGEST_TOPIC), take)

    async def send(self, caller: Caller, topic: str, body: bytes) -> Receipt:
        """What became of the events in a body that has been read. HttpError as ``take``."""
        self.expect_allowed(caller, topic)
        self._pace(caller)
        return await self._published(caller, topic, body)

    def expect_allowed(self, caller: Caller, topic: str) -> None:
        """HttpError 403 for what the login may not send."""
        if not self._rules.may_publish(caller.principal, topic).allowed:
            raise HttpError(
                403,
                "not_allowed",
                "this login may not send that",
                hint="see the formats of an app: healthsync app list",
            )

    async def _published(self, caller: Caller, topic: str, body: bytes) -> Receipt:
        try:  # the body and the broker may take their time
            answer = await self._publisher.publish(topic, body, partial(self._still, caller))
        except TooLargeError as error:
            raise HttpError(413, "too_large", str(error), hint=error.hint) from None
        except SenderGoneError:
            raise Callers.refusal() from None
        except NotTakenError as error:
            raise HttpError(
                503, "unavailable", str(error), hint=error.hint, retry_after_s=error.retry_after_s
            ) from None
        receipt = _receipt(answer)
        if receipt is None:
            left_out = self._notices.due(answer.code, time.monotonic())
            if left_out is not None:
                log.error("gateway.publish_refused", code=answer.code, why=answer.why, left_out=left_out)
            hint = "the topics file has to let the role gateway publish: healthsync topic list"
            raise HttpError(503, "unavailable", "the service took nothing of it", hint=hint, retry_after_s=30.0)
        return receipt

    def device_topic(self, caller: Caller) -> str:
        """Where the events of the calling device go."""
        user, device = _names(caller)
        return self._rules.registry.build("device_events", user=user, device=device)

    def format_topic(self, caller: Caller, form: str) -> str:
        """Where a message in a payload format goes. HttpError 404 when there is no such name."""
        user, device = _names(caller)
        try:
            return self._rules.registry.build("format_messages", user=user, device=device, format=form)
        except (KeyError, TopicError):
            raise HttpError(404, "not_found", "there is no such format", hint="see: healthsync format list") from None

    def _pace(self, caller: Caller) -> None:
        gate, now = self._rates.gate(caller.principal), time.monotonic()
        wait_s = gate.take(0, now)
        if wait_s > 0.0:
            raise HttpError(
                429,
                "too_many",
                "this device or user sends too fast",
                hint="send batches",
                retry_after_s=math.ceil(wait_s),
            )
        gate.take(1, now)


def _names(caller: Caller) -> tuple[str, str]:
    principal = caller.principal
    assert principal.user is not None
    assert principal.device is not None
    return principal.user, principal.device


def _receipt(answer: Answer) -> Receipt | None:
    """What the acknowledgement says of the events; None: it took nothing at all. HttpError where it has no room."""
    receipt = told("", answer)
    if receipt is not None:
        listed = sum(1 for each in receipt.rejected)
        unlisted = int(answer.get("rejected") or 0) - listed
        return msgspec.structs.replace(receipt, batch=None, unlisted=max(0, unlisted))
    if answer.code == _QUOTA:
        raise HttpError(429, "too_many", "the service takes no more of this now", retry_after_s=5.0)
    return None


def receipt_body(receipt: Receipt) -> dict[str, Any]:
    """A receipt as the API tells it: counts, and each event that was not taken with its place."""
    body: dict[str, Any] = {
        "epoch": receipt.epoch,
        "seq": receipt.seq,
        "stored": receipt.stored,
        "duplicate": receipt.duplicate,
        "rejected": [_entry(each) for each in receipt.rejected],
    }
    if receipt.unlisted:
        body["unlisted"] = receipt.unlisted
    return body


def _entry(rejected: RejectedEvent) -> dict[str, Any]:
    entry: dict[str, Any] = msgspec.to_builtins(rejected)
    return {name: value for name, value in entry.items() if value is not None}


def answer_of(receipt: Receipt) -> Response:
    """200 when something of it is stored or was; HttpError 422 when all was refused."""
    body = receipt_body(receipt)
    if receipt.rejected and not receipt.stored and not receipt.duplicate:
        first: Sequence[RejectedEvent] = receipt.rejected
        raise HttpError(
            422,
            first[0].code,
            "every event of the body was refused" if len(first) > 1 else first[0].message or "it was refused",
            hint="the reasons: docs/reference/reasons.md",
            extra=body,
        )
    return written(body)


def routes(intake: EventIntake, sender: Sender) -> APIRouter:
    """The routes by which events come in."""
    router = APIRouter(tags=["events in"])

    @router.post(
        "/v1/events", summary="Send events", responses=_ANSWERS, openapi_extra=takes("An event, an array, or a batch.")
    )
    async def events(request: Request, caller: Annotated[Caller, Depends(sender)]) -> Response:
        """One event, an array, or a named batch, as on the events topic; gzip is read.

        The answer comes after the commit: 200 with what became of each, 422 when all were refused. What was answered
        with anything else may be stored or not: send the same again.
        """
        return answer_of(await intake.take(caller, intake.device_topic(caller), request))

    @router.post(
        "/v1/formats/{format}",
        summary="Send a payload in a format of others",
        responses=_ANSWERS,
        openapi_extra=takes("What the app makes."),
    )
    async def formats(request: Request, format: str, caller: Annotated[Caller, Depends(sender)]) -> Response:  # noqa: A002
        """What an app sends in the format of its login, as it sends it."""
        return answer_of(await intake.take(caller, intake.format_topic(caller, format), request))

    @router.post(
        "/sync/events",
        summary="Send events as to the first API",
        responses=answers("Received", "So many are stored.", *_REFUSALS),
        openapi_extra=takes("An array of events."),
        deprecated=True,
        dependencies=[Depends(Outdated("/v1/events"))],
    )
    async def sync_events(request: Request, caller: Annotated[Caller, Depends(sender)]) -> Response:
        """An array of events; the answer is how many of them are stored."""
        receipt = await intake.take(caller, intake.device_topic(caller), request)
        answer_of(receipt)
        return written({"received": _count(receipt.stored) + _count(receipt.duplicate)})

    return router


def _count(value: Sequence[str] | int) -> int:
    return value if isinstance(value, int) else len(value)
