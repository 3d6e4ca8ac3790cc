"""Webhooks over HTTP: where a subscriber's events are posted to, and the secret that signs them.

Admins keep all of them. A subscriber sees its own and keeps those that it has made itself; of others it learns nothing,
so the names that it gives begin with its own.
"""

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.broker.embedded.limits.rates import Bucket
from healthsync_mqtt.descriptions.people import WebhookDescription, described_webhook, told
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import Cursor, PageSize, page_of, written
from healthsync_mqtt.gateway.bodies.problem import HttpError, not_found
from healthsync_mqtt.gateway.connections.public_https import RefusedTargetError
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import WebhookRequest
from healthsync_mqtt.gateway.jobs.deliveries import Deliveries
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import WebhookKeeper, subscriber_of
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds, answered
from healthsync_mqtt.identity.people.webhooks import Webhook
from healthsync_mqtt.identity.registry import Registry

MOST_OWN: Final = 10
"""Webhooks of a subscriber that makes another one itself."""
TEST_EVERY_S: Final = 5.0
TESTS_AT_ONCE: Final = 5
"""Test messages that a subscriber has posted by itself: one in so many seconds, some at once."""


class _Tests:
    """How often subscribers have test messages posted; there are as many buckets as subscribers who do."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def take(self, subscriber: str, now: float) -> None:
        """Count one. HttpError 429."""
        bucket = self._buckets.setdefault(subscriber, Bucket(1 / TEST_EVERY_S, TESTS_AT_ONCE))
        if (wait_s := bucket.wait(now)) > 0.0:
            raise HttpError(429, "too_many", "test messages are posted too often", retry_after_s=wait_s)
        bucket.take(now)


def _seen(registry: Registry, caller: Caller, name: str) -> Webhook:
    """The caller's webhook of this name. HttpError 404, NotFoundError."""
    mine = subscriber_of(caller)
    if mine is None:
        return registry.webhooks.of(name)
    found = next((each for each in registry.webhooks.all() if each.name == name and each.subscriber == mine), None)
    if found is None:
        raise not_found()
    return found


def _kept(registry: Registry, caller: Caller, name: str) -> Webhook:
    """The same where the caller may change it. HttpError 403 besides: its secret is none of the subscriber's tokens."""
    found = _seen(registry, caller, name)
    if subscriber_of(caller) is not None and found.holder_epoch is None:
        raise HttpError(403, "not_allowed", "an admin has made this webhook", hint="ask an admin, or make another one")
    return found


def _expect_own(registry: Registry, mine: str, asked: WebhookRequest) -> None:
    """That a subscriber may make this one. HttpError 400, 404, 409."""
    if asked.subscriber != mine:
        raise not_found()
    if asked.name != mine and not asked.name.startswith(f"{mine}-"):
        raise HttpError(400, "bad_input", "its name does not begin with yours", hint=f"name it {mine}-hook")
    if sum(each.subscriber == mine for each in registry.webhooks.all()) >= MOST_OWN:
        raise HttpError(409, "conflict", f"there are {MOST_OWN} webhooks already", hint="remove one")


def routes(deeds: Deeds, deliveries: Deliveries, keeper: WebhookKeeper) -> APIRouter:
    """The routes of webhooks."""
    router = APIRouter(tags=["administration"])
    tests = _Tests()

    def with_secret(webhook: Webhook) -> dict[str, Any]:
        return told(described_webhook(webhook)) | {"secret": deliveries.secret_of(webhook)}

    @router.get("/v1/webhooks", summary="All webhooks", responses=answers("WebhookPage", "A page.", 400, 401, 404, 503))
    async def webhooks(
        caller: Annotated[Caller, Depends(keeper)], cursor: Cursor = "", limit: PageSize = 100
    ) -> Response:
        """Where events are posted to, and how the last delivery of each went. A subscriber sees its own."""
        mine = subscriber_of(caller)
        known = await deeds.ask(lambda registry: registry.webhooks.all())
        found = [each for each in known if mine in {None, each.subscriber}]
        page, after = page_of(sorted(map(described_webhook, found), key=_name), _name, cursor, limit)
        return written({"webhooks": page, "next": after})

    @router.post(
        "/v1/webhooks",
        summary="Add a webhook",
        responses=answers("WebhookSecret", "It, with its secret, once.", 400, 401, 403, 404, 408, 409, 413, 415, 503),
        openapi_extra=form("WebhookRequest"),
    )
    async def added(request: Request, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Every event that the subscriber may read is posted there from now on.

        A subscriber names itself, and its webhook so that the name begins with its own. That one ends with its tokens:
        when they are revoked.
        """
        asked = await read_form(
            request, WebhookRequest, '{"name": "board", "subscriber": "reader", "url": "https://example.org/hook"}'
        )
        mine = subscriber_of(caller)
        try:
            deliveries.expect(asked.url, of_admin=mine is None)
        except RefusedTargetError as error:
            raise answered(error) from None

        epoch, seq = await deliveries.end()

        def add(deed: Deed) -> Webhook:
            if mine is not None:
                _expect_own(deed.registry, mine, asked)
            made = deed.registry.webhooks.add(
                asked.name,
                asked.subscriber,
                asked.url,
                deed.now_us,
                epoch=epoch,
                seq=seq,
                holder_epoch=None if mine is None else caller.epoch,
            )
            deed.note("webhook.added", webhook=asked.name, subscriber=asked.subscriber)
            return made

        return written(with_secret(await deeds.do(caller, add)))

    @router.get(
        "/v1/webhooks/{name}",
        summary="A webhook",
        responses=answers("WebhookDescription", "It.", 400, 401, 404, 503),
    )
    async def one(name: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """How its last delivery went."""
        return written(described_webhook(await deeds.ask(lambda registry: _seen(registry, caller, name))))

    @router.post(
        "/v1/webhooks/{name}/enable",
        summary="Deliver again",
        responses=answers("WebhookDescription", "It.", 400, 401, 403, 404, 503),
    )
    async def enabled(name: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """At once and from where it was: after it was disabled, or instead of waiting for its next try."""

        def enable(deed: Deed) -> WebhookDescription:
            _kept(deed.registry, caller, name)
            # What an admin takes on goes by no token of the subscriber any more.
            holder_epoch = None if subscriber_of(caller) is None else caller.epoch
            made = deed.registry.webhooks.enable(name, holder_epoch=holder_epoch)
            deed.note("webhook.enabled", webhook=name)
            return described_webhook(made)

        return written(await deeds.do(caller, enable))

    @router.post(
        "/v1/webhooks/{name}/test",
        summary="Post a test message now",
        responses=answers("WebhookTest", "What the other side said.", 400, 401, 403, 404, 429, 503),
    )
    async def tried(name: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """It is signed, and holds no event."""
        mine = subscriber_of(caller)
        if mine is not None:
            tests.take(mine, time.monotonic())

        def noted(deed: Deed) -> Webhook:
            found = _kept(deed.registry, caller, name)
            deed.note("webhook.tested", webhook=name)
            return found

        found = await deeds.do(caller, noted)
        try:
            answer = await deliveries.try_now(found)
        except RefusedTargetError as error:
            raise answered(error) from None
        except OSError as error:  # a timeout, too
            said = error.strerror or type(error).__name__
            raise HttpError(
                503, "unavailable", f"the other side does not answer: {said}", hint="is it up?", retry_after_s=5.0
            ) from None
        taken = 200 <= answer.status < 300
        return written({"name": name, "url": found.url, "status": answer.status, "taken": taken})

    @router.post(
        "/v1/webhooks/{name}/rotate",
        summary="Make another secret",
        responses=answers("WebhookSecret", "It, with its secret, once.", 400, 401, 403, 404, 503),
    )
    async def rotated(name: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Both sign for a day."""

        def rotate(deed: Deed) -> Webhook:
            before = _kept(deed.registry, caller, name)
            made = deed.registry.webhooks.change(name, generation=before.generation + 1, rotated_us=deed.now_us)
            deed.note("webhook.rotated", webhook=name)
            return made

        return written(with_secret(await deeds.do(caller, rotate)))

    @router.delete(
        "/v1/webhooks/{name}",
        summary="Remove a webhook",
        responses=answers("WebhookDescription", "What it was.", 400, 401, 403, 404, 503),
    )
    async def removed(name: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Nothing is posted there any more."""

        def remove(deed: Deed) -> WebhookDescription:
            _kept(deed.registry, caller, name)
            was = deed.registry.webhooks.remove(name)
            deed.note("webhook.removed", webhook=name)
            return described_webhook(was)

        return written(await deeds.do(caller, remove))

    return router


def _name(webhook: WebhookDescription) -> str:
    return webhook.name
