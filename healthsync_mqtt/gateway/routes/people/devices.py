"""The devices of a user over HTTP, for the user and for admins: listed, added, enrolled, suspended and removed."""

from typing import Annotated, Any, Final

import segno
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.descriptions.people import DeviceDescription, certified, described_device, told
from healthsync_mqtt.descriptions.service import LiveClients, presence
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import Cursor, PageSize, page_of, written
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import DeviceRequest, TitleRequest, TokenWish
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Keeper
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds
from healthsync_mqtt.gateway.registry.installation import Installation
from healthsync_mqtt.gateway.registry.new_tokens import TokenAnswer, TokenDesk
from healthsync_mqtt.identity.login.enrolment import CODE_LIFETIME_S
from healthsync_mqtt.identity.people.records import Device
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.times import iso

_LATELY_US: Final = 24 * 3_600_000_000


def routes(deeds: Deeds, desk: TokenDesk, installation: Installation, keeper: Keeper) -> APIRouter:  # a route each
    """The routes of devices."""
    router = APIRouter(tags=["devices"])

    @router.get(
        "/v1/users/{user}/devices",
        summary="A user's devices",
        responses=answers("DevicePage", "A page.", 400, 401, 404, 503),
    )
    async def devices(
        user: str, _: Annotated[Caller, Depends(keeper)], cursor: Cursor = "", limit: PageSize = 100
    ) -> Response:
        """With when each was last here, and how often its login was refused in a day."""
        live = await installation.live()

        def listed(registry: Registry) -> tuple[list[dict[str, Any]], str | None]:
            page, after = page_of(registry.devices(user), lambda each: each.device_id, cursor, limit)
            return _with_sightings(registry, page, live, deeds.now_us()), after

        page, after = await deeds.ask(listed)
        return written({"devices": page, "next": after})

    @router.post(
        "/v1/users/{user}/devices",
        summary="Add a device",
        responses=answers("DeviceDescription", "The device.", 400, 401, 403, 404, 408, 409, 413, 415, 503),
        openapi_extra=form("DeviceRequest"),
    )
    async def added(request: Request, user: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """It has no credentials before it enrols, or gets a token."""
        asked = await read_form(request, DeviceRequest, '{"device_id": "watch"}')

        def add(deed: Deed) -> DeviceDescription:
            made = deed.registry.add_device(user, asked.device_id, deed.now_us)
            deed.note("device.added", user=user, device=asked.device_id)
            return described_device(made)

        return written(await deeds.do(caller, add))

    @router.get(
        "/v1/users/{user}/devices/{device}",
        summary="A device",
        responses=answers("Device", "The device.", 400, 401, 404, 503),
    )
    async def one(user: str, device: str, _: Annotated[Caller, Depends(keeper)]) -> Response:
        """With when it was last here."""
        live = await installation.live()

        def shown(registry: Registry) -> dict[str, Any]:
            return _with_sightings(registry, [registry.device(user, device)], live, deeds.now_us())[0]

        return written(await deeds.ask(shown))

    @router.post(
        "/v1/users/{user}/devices/{device}/enrolment",
        summary="A one-time code for a device",
        responses=answers("EnrolmentCode", "The code, once.", 400, 401, 403, 404, 409, 503),
    )
    async def enrolment(user: str, device: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Good for ten minutes, one use and five tries; `qr_svg` is the same for a camera.

        A device that is there already gets new credentials with it, one that is not is added.
        """

        def opened(deed: Deed) -> str:
            code = deed.registry.enrolments.create(user, device, deed.now_us)
            deed.note("device.enrolment_opened", user=user, device=device)
            return code

        code = await deeds.do(caller, opened)
        expires = iso(deeds.now_us() + CODE_LIFETIME_S * 1_000_000)
        answer = {"user_id": user, "device_id": device, "code": code, "expires_at": expires}
        return written(answer | {"qr_svg": qr_svg(code)})

    @router.post(
        "/v1/users/{user}/devices/{device}/token",
        summary="A new token of a device",
        responses=answers("TokenAnswer", "The login, once.", 400, 401, 403, 404, 408, 413, 415, 503),
        openapi_extra=form("TokenWish"),
    )
    async def token(request: Request, user: str, device: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Older ones stay valid until they expire."""
        asked = await read_form(request, TokenWish, "{}")

        def issued(deed: Deed) -> TokenAnswer:
            found = deed.registry.device(user, device)
            return desk.issue(deed, found.principal, found.token_epoch, asked.lifetime_s)

        return written(await deeds.do(caller, issued))

    @router.post(
        "/v1/users/{user}/devices/{device}/suspend",
        summary="Let a device not connect",
        responses=answers("DeviceDescription", "The device.", 400, 401, 403, 404, 503),
    )
    async def suspended(user: str, device: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Until it is resumed. A live connection ends within a second."""

        def suspend(deed: Deed) -> DeviceDescription:
            if deed.registry.revocation.suspend_device(user, device, deed.now_us):
                deed.note("device.suspended", user=user, device=device)
            return described_device(deed.registry.device(user, device))

        return written(await deeds.do(caller, suspend))

    @router.post(
        "/v1/users/{user}/devices/{device}/resume",
        summary="Let a device connect again",
        responses=answers("DeviceDescription", "The device.", 400, 401, 403, 404, 503),
    )
    async def resumed(user: str, device: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """The end of a suspension; tokens that have not expired are good again."""

        def resume(deed: Deed) -> DeviceDescription:
            if deed.registry.revocation.resume_device(user, device):
                deed.note("device.resumed", user=user, device=device)
            return described_device(deed.registry.device(user, device))

        return written(await deeds.do(caller, resume))

    @router.post(
        "/v1/users/{user}/devices/{device}/rename",
        summary="Say what people call a device",
        responses=answers("DeviceDescription", "The device.", 400, 401, 403, 404, 408, 413, 415, 503),
        openapi_extra=form("TitleRequest"),
    )
    async def renamed(request: Request, user: str, device: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Its id, its login and its events keep their names; an app's, too."""
        asked = await read_form(request, TitleRequest, '{"title": "Kitchen scale"}')

        def rename(deed: Deed) -> DeviceDescription:
            found = deed.registry.rename_device(user, device, asked.title)
            deed.note("device.renamed", user=user, device=device)
            return described_device(found)

        return written(await deeds.do(caller, rename))

    @router.post(
        "/v1/users/{user}/devices/{device}/revoke",
        summary="Void what a device was given",
        responses=answers("DeviceDescription", "The device.", 400, 401, 403, 404, 503),
    )
    async def revoked(user: str, device: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Every token, refresh token, certificate and password up to now."""

        def revoke(deed: Deed) -> DeviceDescription:
            deed.registry.revocation.revoke_device_tokens(user, device, deed.now_us)
            deed.note("token.revoked", user=user, device=device, which="all")
            return described_device(deed.registry.device(user, device))

        return written(await deeds.do(caller, revoke))

    @router.delete(
        "/v1/users/{user}/devices/{device}",
        summary="Remove a device",
        responses=answers("DeviceDescription", "What it was.", 400, 401, 403, 404, 503),
    )
    async def removed(user: str, device: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """It may not connect any more. Its events stay."""

        def remove(deed: Deed) -> DeviceDescription:
            was = deed.registry.remove_device(user, device, deed.now_us)
            deed.note("device.removed", user=user, device=device)
            return described_device(was)

        return written(await deeds.do(caller, remove))

    return router


def qr_svg(text: str) -> str:
    """A QR code as an image that a page can hold."""
    return segno.make(text, error="m", micro=False).svg_inline(scale=4, border=2)


def _with_sightings(
    registry: Registry, devices: list[Device], live: LiveClients | None, now_us: int
) -> list[dict[str, Any]]:
    return [
        told(described_device(each))
        | seen_of(registry, each.client_id, live, now_us)
        | certified(registry, each, now_us)
        for each in devices
    ]


def seen_of(registry: Registry, client_id: str, live: LiveClients | None, now_us: int) -> dict[str, Any]:
    """Whether a client is here, when it last was, and how often a login that claimed to be it was refused in a day."""
    refused = registry.refused_logins.of(client_id)
    lately = sum(each.count for each in refused if each.last_us >= now_us - _LATELY_US)
    return presence(client_id, live, registry.sightings.of(client_id), lately)
