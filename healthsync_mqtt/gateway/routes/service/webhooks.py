"""Webhooks over HTTP, by admins: where a subscriber's events are posted to, and the secret that signs them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.descriptions.people import WebhookDescription, described_webhook, told
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import Cursor, PageSize, page_of, written
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.connections.public_https import RefusedTargetError
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import WebhookRequest
from healthsync_mqtt.gateway.jobs.deliveries import Deliveries
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Administrator
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds, answered
from healthsync_mqtt.identity.people.webhooks import Webhook


def routes(deeds: Deeds, deliveries: Deliveries, admin: Administrator) -> APIRouter:
    """The routes of webhooks."""
    router = APIRouter(tags=["administration"])

    def with_secret(webhook: Webhook) -> dict[str, Any]:
        return told(described_webhook(webhook)) | {"secret": deliveries.secret_of(webhook)}

    @router.get("/v1/webhooks", summary="All webhooks", responses=answers("WebhookPage", "A page.", 400, 401, 404, 503))
    async def webhooks(_: Annotated[Caller, Depends(admin)], cursor: Cursor = "", limit: PageSize = 100) -> Response:
        """Where events are posted to, and how the last delivery of each went."""
        found = await deeds.ask(lambda registry: registry.webhooks.all())
        page, after = page_of(sorted(map(described_webhook, found), key=_name), _name, cursor, limit)
        return written({"webhooks": page, "next": after})

    @router.post(
        "/v1/webhooks",
        summary="Add a webhook",
        responses=answers("WebhookSecret", "It, with its secret, once.", 400, 401, 403, 404, 408, 409, 413, 415, 503),
        openapi_extra=form("WebhookRequest"),
    )
    async def added(request: Request, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Every event that the subscriber may read is posted there from now on."""
        asked = await read_form(
            request, WebhookRequest, '{"name": "board", "subscriber": "reader", "url": "https://example.org/hook"}'
        )
        try:
            deliveries.expect(asked.url)
        except RefusedTargetError as error:
            raise answered(error) from None

        epoch, seq = await deliveries.end()

        def add(deed: Deed) -> Webhook:
            made = deed.registry.webhooks.add(
                asked.name, asked.subscriber, asked.url, deed.now_us, epoch=epoch, seq=seq
            )
            deed.note("webhook.added", webhook=asked.name, subscriber=asked.subscriber)
            return made

        return written(with_secret(await deeds.do(caller, add)))

    @router.get(
        "/v1/webhooks/{name}",
        summary="A webhook",
        responses=answers("WebhookDescription", "It.", 400, 401, 404, 503),
    )
    async def one(name: str, _: Annotated[Caller, Depends(admin)]) -> Response:
        """How its last delivery went."""
        return written(described_webhook(await deeds.ask(lambda registry: registry.webhooks.of(name))))

    @router.post(
        "/v1/webhooks/{name}/enable",
        summary="Deliver again",
        responses=answers("WebhookDescription", "It.", 400, 401, 403, 404, 503),
    )
    async def enabled(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """At once and from where it was: after it was disabled, or instead of waiting for its next try."""

        def enable(deed: Deed) -> WebhookDescription:
            made = deed.registry.webhooks.change(name, disabled_us=None, failures=0, failing_us=None, due_us=0)
            deed.note("webhook.enabled", webhook=name)
            return described_webhook(made)

        return written(await deeds.do(caller, enable))

    @router.post(
        "/v1/webhooks/{name}/test",
        summary="Post a test message now",
        responses=answers("WebhookTest", "What the other side said.", 400, 401, 403, 404, 503),
    )
    async def tried(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """It is signed, and holds no event."""

        def noted(deed: Deed) -> Webhook:
            deed.note("webhook.tested", webhook=name)
            return deed.registry.webhooks.of(name)

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
    async def rotated(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Both sign for a day."""

        def rotate(deed: Deed) -> Webhook:
            before = deed.registry.webhooks.of(name)
            made = deed.registry.webhooks.change(name, generation=before.generation + 1, rotated_us=deed.now_us)
            deed.note("webhook.rotated", webhook=name)
            return made

        return written(with_secret(await deeds.do(caller, rotate)))

    @router.delete(
        "/v1/webhooks/{name}",
        summary="Remove a webhook",
        responses=answers("WebhookDescription", "What it was.", 400, 401, 403, 404, 503),
    )
    async def removed(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Nothing is posted there any more."""

        def remove(deed: Deed) -> WebhookDescription:
            was = deed.registry.webhooks.remove(name)
            deed.note("webhook.removed", webhook=name)
            return described_webhook(was)

        return written(await deeds.do(caller, remove))

    return router


def _name(webhook: WebhookDescription) -> str:
    return webhook.name
