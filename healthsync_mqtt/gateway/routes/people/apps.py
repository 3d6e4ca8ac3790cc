"""The apps of a user over HTTP, for the user and for admins: listed, added, given another password and removed."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.descriptions.people import described_app, told
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.formats.catalogue import FORMATS, ROOTS
from healthsync_mqtt.formats.reading.amount import declarable_units
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import Cursor, PageSize, page_of, written
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import AppRequest
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Keeper
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds
from healthsync_mqtt.gateway.registry.installation import Installation
from healthsync_mqtt.gateway.routes.people.devices import seen_of
from healthsync_mqtt.identity.login.passwords import hashed_password, new_password
from healthsync_mqtt.identity.people.records import AppRecord, Device
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.topics.access import AccessRules


def routes(deeds: Deeds, rules: AccessRules, installation: Installation, keeper: Keeper) -> APIRouter:
    """The routes of apps. What a device can do an app can: it is suspended and revoked as one."""
    router = APIRouter(tags=["devices"])

    def login(device: Device, app: AppRecord, password: str) -> dict[str, Any]:
        """What is typed into the app, once."""
        own = [
            rules.registry.build("format_messages", user=device.user_id, device=device.device_id, format=name)
            for name in sorted(app.formats)
        ]
        known = [*own, *(f"{root}/#" for root, name in sorted(ROOTS.items()) if name in app.formats)]
        return told(described_app(device, app)) | {"password": password, "topics": known}

    @router.get(
        "/v1/users/{user}/apps", summary="A user's apps", responses=answers("AppPage", "A page.", 400, 401, 404, 503)
    )
    async def apps(
        user: str, _: Annotated[Caller, Depends(keeper)], cursor: Cursor = "", limit: PageSize = 100
    ) -> Response:
        """Logins with a password, what each sends, and when it was last here."""
        live = await installation.live()

        def listed(registry: Registry) -> tuple[list[dict[str, Any]], str | None]:
            pairs = [(each, registry.apps.find(each.client_id)) for each in registry.devices(user)]
            found = [(device, app) for device, app in pairs if app is not None]
            page, after = page_of(found, lambda each: each[0].device_id, cursor, limit)
            now_us = deeds.now_us()
            shown = [
                told(described_app(device, app)) | seen_of(registry, device.client_id, live, now_us)
                for device, app in page
            ]
            return shown, after

        page, after = await deeds.ask(listed)
        return written({"apps": page, "next": after})

    @router.post(
        "/v1/users/{user}/apps",
        summary="Add an app",
        responses=answers("AppLogin", "What to type into it, once.", 400, 401, 403, 404, 408, 409, 413, 415, 503),
        openapi_extra=form("AppRequest"),
    )
    async def added(request: Request, user: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Its password is told once, and does not end."""
        asked = await read_form(request, AppRequest, '{"device_id": "phone", "formats": ["health_auto_export"]}')
        password = new_password()

        def add(deed: Deed) -> dict[str, Any]:
            declared = Declared(_zone(asked.zone), _unit(asked.unit), asked.bucket_s, asked.slot, asked.longest)
            names = [_format(name) for name in asked.formats]
            device = deed.registry.add_device(user, asked.device_id, deed.now_us)
            app = deed.registry.apps.add(device, names, declared, hashed_password(password), deed.now_us)
            deed.note("app.added", user=user, device=asked.device_id, formats=sorted(app.formats))
            return login(device, app, password)

        return written(await deeds.do(caller, add))

    @router.post(
        "/v1/users/{user}/apps/{app}/rotate",
        summary="Give an app another password",
        responses=answers("AppLogin", "What to type into it, once.", 400, 401, 403, 404, 503),
    )
    async def rotated(user: str, app: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """The old one is void at once."""
        password = new_password()

        def rotate(deed: Deed) -> dict[str, Any]:
            device = deed.registry.device(user, app)
            found = deed.registry.apps.rotate(device.client_id, hashed_password(password), deed.now_us)
            deed.note("app.rotated", user=user, device=app)
            return login(device, found, password)

        return written(await deeds.do(caller, rotate))

    @router.delete(
        "/v1/users/{user}/apps/{app}",
        summary="Remove an app",
        responses=answers("AppDescription", "What it was.", 400, 401, 403, 404, 503),
    )
    async def removed(user: str, app: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """It may not connect any more. What it brought stays."""

        def remove(deed: Deed) -> Any:
            device = deed.registry.device(user, app)
            was = described_app(device, deed.registry.apps.of(device.client_id))
            deed.registry.remove_device(user, app, deed.now_us)
            deed.note("app.removed", user=user, device=app)
            return was

        return written(await deeds.do(caller, remove))

    return router


def _format(name: str) -> str:
    """UsageError for a format that nobody knows."""
    if name not in FORMATS:
        raise UsageError("there is no such format", hint="see: healthsync format list")
    return FORMATS[name].name


def _unit(name: str | None) -> str | None:
    if name is not None and name not in declarable_units():
        raise UsageError("no number here is ever in that unit", hint="see the units of a type: /v1/types")
    return name


def _zone(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise UsageError("there is no such zone", hint="write it as in Europe/Berlin, or UTC") from None
    return name
