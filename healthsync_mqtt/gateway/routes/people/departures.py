"""What a person takes along, and what is deleted: the archive of everything, and the erasure, at the person's word."""

import asyncio
import tempfile
from collections.abc import Callable
from typing import IO, Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from healthsync_mqtt.adapters.link_descriptions import kept_links
from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.exports.person import write_person
from healthsync_mqtt.exports.person_parts import PersonFiles, person_parts
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import written
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import ErasureWish
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Administrator, Keeper
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds
from healthsync_mqtt.gateway.registry.installation import Installation
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.erasure import ErasureStep
from healthsync_mqtt.model.times import iso

_AT_ONCE: Final = 2
"""Archives that are made and sent at a time, one for each user: each is a file until it is taken."""
_PIECE: Final = 65_536
_AGAIN_S: Final = 30.0


class Archives:
    """Makes archives of persons, a few at a time."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._busy: set[str] = set()

    def enter(self, user: str) -> None:
        """Take a place. HttpError 429 where there is none, 503 where not all there is to take is here."""
        self._installation.expect_home()
        if user in self._busy or len(self._busy) >= _AT_ONCE:
            raise HttpError(429, "too_many", "archives are made", hint="ask again later", retry_after_s=_AGAIN_S)
        self._busy.add(user)

    def leave(self, user: str) -> None:
        """Give it back."""
        self._busy.discard(user)

    def made(self, user: str, now_us: int) -> IO[bytes]:
        """The archive in a file that has no name. It blocks."""
        place = self._installation
        # A connection of its own: an archive of years takes a while, and others change the registry meanwhile.
        with Registry.open(place.registry) as registry:
            file = tempfile.TemporaryFile(dir=place.data)  # noqa: SIM115  # whoever sends it closes it
            try:
                files = PersonFiles(place.data, registry, place.audit, kept_links(place.data, user))
                write_person(file, f"What is stored of {user}", iso(now_us), person_parts(files, user))
            except BaseException:
                file.close()
                raise
        return file


def routes(deeds: Deeds, archives: Archives, keeper: Keeper, admin: Administrator) -> APIRouter:
    """The routes of archives and erasures."""
    router = APIRouter(tags=["people"])

    @router.get(
        "/v1/users/{user}/export",
        summary="Everything about a user",
        responses=answers(
            "Anything", "An archive (ZIP) with an index.html.", 400, 401, 404, 429, 503, media=("application/zip",)
        ),
    )
    async def exported(user: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Events with their history, what was refused, days, consents, devices, preferences, what was done.

        As `healthsync user export` writes it. No secret is in it.
        """
        archives.enter(user)
        try:

            def noted(deed: Deed) -> None:
                deed.registry.user_once(user)
                deed.note("user.exported", user=user)

            await deeds.do(caller, noted)
            file = await asyncio.to_thread(archives.made, user, deeds.now_us())
        except BaseException:
            archives.leave(user)
            raise
        return _Archive(file, f"{user}.zip", lambda: archives.leave(user))

    @router.post(
        "/v1/users/{user}/erasure",
        summary="Delete a user and everything of the user",
        responses=answers("Erasure", "It has begun.", 400, 401, 403, 404, 408, 413, 415, 503),
        openapi_extra=form("ErasureWish"),
    )
    async def erased(request: Request, user: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Keys, events, days, devices, consents and the name, by the running service. It cannot be undone.

        Every session and connection of the user ends with this answer; `confirm` is the user's id.
        """
        asked = await read_form(request, ErasureWish, f'{{"confirm": "{user}"}}')
        if asked.confirm != user:
            raise HttpError(400, "bad_input", "confirm is not the user's id", hint="say whom you mean")
        if asked.reason is not None and user in asked.reason:
            raise HttpError(400, "bad_input", "the reason names the person", hint="the audit log keeps it")

        def erase(deed: Deed) -> dict[str, Any]:
            begun = deed.registry.erasures.of_user(user)
            if begun is None:
                begun = deed.registry.erase(user, deed.now_us, recorded_by=deed.actor)
                deed.note("user.erased", user=user, erasure=begun.id, reason=asked.reason)
            return _state(deed.registry, begun.id)

        return written(await deeds.do(caller, erase))

    @router.get(
        "/v1/erasures/{erasure}",
        summary="How far an erasure is",
        responses=answers("Erasure", "It.", 400, 401, 404, 503),
    )
    async def progress(erasure: str, _: Annotated[Caller, Depends(admin)]) -> Response:
        """`pending` is what is not done: a step here, or a sink that did not confirm yet."""
        return written(await deeds.ask(lambda registry: _state(registry, erasure)))

    return router


class _Archive(Response):
    """A file that is sent as far as the client takes it, and is gone afterwards, however it ends."""

    def __init__(self, file: IO[bytes], name: str, over: Callable[[], None]) -> None:
        headers = {
            "Content-Length": str(file.tell()),
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "private, no-store",
        }
        super().__init__(None, 200, headers, "application/zip")
        self._file = file
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        del scope, receive
        try:
            self._file.seek(0)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            piece = await self._next()
            while following := await self._next():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = following
        finally:
            self._file.close()
            self._over()
        # Whoever has the last byte may ask for the next archive.
        await send({"type": "http.response.body", "body": piece})

    async def _next(self) -> bytes:
        return await asyncio.to_thread(self._file.read, _PIECE)


def _state(registry: Registry, erasure_id: str) -> dict[str, Any]:
    erasure, pending = registry.erasures.get(erasure_id), registry.erasures.pending(erasure_id)
    if erasure is None:
        raise NotFoundError("there is no such erasure", hint="its id is in what began it")
    done = erasure.step is ErasureStep.done
    left = pending if done else sorted({erasure.step.value, *pending})
    return {"erasure": erasure_id, "erased": done, "pending": left}
