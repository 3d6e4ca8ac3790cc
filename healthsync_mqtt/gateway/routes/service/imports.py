"""Imports over HTTP: a user's file is uploaded, read in its turn, and what it came to is told."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from healthsync_mqtt.gateway.bodies.lists import written
from healthsync_mqtt.gateway.bodies.problem import HttpError, not_found
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.jobs.uploads import UploadedImport, Uploads
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Keeper
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds
from healthsync_mqtt.gateway.registry.installation import Installation
from healthsync_mqtt.model.times import iso

_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file itself: an archive of Apple Health, Google Takeout, Fitbit, a FIT file, a table.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Name = Annotated[str, Query(pattern="^[A-Za-z0-9_-]{1,64}$", description="The device to publish as.")]
Word = Annotated[str | None, Query(min_length=1, max_length=64)]


def routes(deeds: Deeds, uploads: Uploads, installation: Installation, keeper: Keeper) -> APIRouter:
    """The routes of imports."""
    router = APIRouter(tags=["events in"])

    @router.post(
        "/v1/users/{user}/imports",
        summary="Import a file",
        responses=answers("Import", "It waits for its turn.", 400, 401, 403, 404, 408, 413, 429, 503),
        openapi_extra=_BODY,
    )
    async def uploaded(  # noqa: PLR0917  # a parameter each
        request: Request,
        user: str,
        caller: Annotated[Caller, Depends(keeper)],
        device: Name = "import",
        zone: Word = None,
        unit: Word = None,
        slot: Word = None,
        bucket: Word = None,
    ) -> Response:
        """As `healthsync import`: its kind is seen by its content. Imported again, everything is a duplicate.

        `zone` is where times without an offset were told, `unit` of numbers without one, `slot` which user of a scale,
        `bucket` how long sums are that have only a start.
        """
        installation.expect_home()

        def begun(deed: Deed) -> None:
            deed.registry.user(user)
            deed.note("import.begun", user=user, device=device)

        await deeds.do(caller, begun)
        said = {"zone": zone, "unit": unit, "slot": slot, "bucket": bucket}
        options = [f"--{name}={value}" for name, value in said.items() if value is not None]
        length = request.headers.get("content-length", "")
        try:
            made = await uploads.take(
                user, device, options, int(length) if length.isdecimal() else None, aiter(request.stream())
            )
        except ClientDisconnect:
            raise HttpError(400, "malformed", "the request ended within its body") from None
        return written(_described(made))

    @router.get(
        "/v1/users/{user}/imports",
        summary="A user's imports",
        responses=answers("Imports", "The newest first.", 400, 401, 404, 503),
    )
    async def imports(user: str, _: Annotated[Caller, Depends(keeper)]) -> Response:
        """Those that this gateway has seen."""
        installation.expect_home()
        return written({"imports": [_described(each) for each in uploads.of(user)]})

    @router.get(
        "/v1/users/{user}/imports/{number}",
        summary="An import",
        responses=answers("Import", "Where it is.", 400, 401, 404, 503),
    )
    async def one(user: str, number: str, _: Annotated[Caller, Depends(keeper)]) -> Response:
        """`outcome` is what `healthsync import --json` prints when it has ended, or its `error`."""
        installation.expect_home()
        found = uploads.find(user, number)
        if found is None:
            raise not_found()
        return written(_described(found))

    return router


def _described(each: UploadedImport) -> dict[str, Any]:
    return {
        "id": each.id,
        "user_id": each.user,
        "device_id": each.device,
        "bytes": each.size,
        "state": each.state,
        "begun_at": iso(int(each.begun_at * 1_000_000)),
        "ended_at": None if each.ended_at is None else iso(int(each.ended_at * 1_000_000)),
        "outcome": each.outcome,
    }
