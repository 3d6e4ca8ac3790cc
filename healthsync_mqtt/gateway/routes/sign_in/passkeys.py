"""Passkeys over HTTP: a person in a session adds, lists and removes them, and comes back with one."""

import asyncio
import secrets
import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.descriptions.passkeys import described_passkey
from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import written
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import PasskeyRequest, SignInRequest
from healthsync_mqtt.gateway.login.beginnings import Beginnings
from healthsync_mqtt.gateway.login.callers import Caller, Callers
from healthsync_mqtt.gateway.login.ceremonies import CHALLENGE_S, Ceremonies
from healthsync_mqtt.gateway.login.rules import Anybody, Visitor
from healthsync_mqtt.gateway.login.sessions import Person, PersonSessions, SessionTokens
from healthsync_mqtt.gateway.registry.deeds import carried_out
from healthsync_mqtt.gateway.routes.sign_in.sessions import with_cookies
from healthsync_mqtt.gateway.server.peer import peer_of
from healthsync_mqtt.identity.people.passkeys import Passkey
from healthsync_mqtt.identity.people.sessions import PersonSession
from healthsync_mqtt.identity.registry import Registry

CHALLENGE_COOKIE: Final = "__Host-healthsync-challenge"
"""What a browser that signs in is known by between the challenge and its answer."""
_EXAMPLE: Final = '{"name": "phone", "credential": {…}}'


class Passkeys:
    """What is done with passkeys, in the registry and by the ceremonies."""

    def __init__(self, sessions: PersonSessions, ceremonies: Ceremonies) -> None:
        self._sessions = sessions
        self._ceremonies = ceremonies

    async def of(self, person: Person) -> list[Passkey]:
        """Those of a person."""
        return await self._sessions.asked(lambda registry: registry.passkeys.of(person.role, person.name))

    async def to_make(self, person: Person) -> dict[str, Any]:
        """What a browser makes a new one with. HttpError 409 where there can be none."""
        known = await self.of(person)
        return self._ceremonies.to_make(
            person.session, person.name, self._handle(person, known), [each.id for each in known], self._now_us()
        )

    async def add(self, person: Person, wish: PasskeyRequest) -> Passkey:
        """Keep what a browser made. HealthSyncError."""
        now_us = self._now_us()
        made, challenge = await asyncio.to_thread(self._ceremonies.made, person.session, wish.credential, now_us)

        def added(registry: Registry) -> Passkey:
            if not self._sessions.alive(person):
                raise TokenError("the session has ended")
            passkey = Passkey(
                id=made.id,
                role=person.role,
                holder=person.name,
                handle=self._handle(person, registry.passkeys.of(person.role, person.name)),
                name=wish.name,
                public_key=made.public_key,
                sign_count=made.sign_count,
                created_us=now_us,
                used_us=None,
            )
            registry.passkeys.add(passkey, challenge.value, challenge.expires_us)
            self._note("passkey.added", person, passkey)
            return passkey

        return await self._sessions.changed(added)

    async def remove(self, person: Person, passkey: str) -> Passkey:
        """Forget one of a person's. NotFoundError."""

        def removed(registry: Registry) -> Passkey:
            found = registry.passkeys.remove(person.role, person.name, passkey)
            self._note("passkey.removed", person, found)
            return found

        return await self._sessions.changed(removed)

    def to_sign(self, browser: str) -> dict[str, Any]:
        """What a browser signs in with. HttpError 409 where there can be no passkeys."""
        return self._ceremonies.to_sign(browser, self._now_us())

    async def sign_in(self, browser: str, credential: dict[str, Any]) -> SessionTokens:
        """A session for who has a passkey. TokenError, alike and as slowly for a passkey that nobody has."""
        now_us = self._now_us()
        name = str(credential.get("id", ""))
        found = await self._sessions.asked(lambda registry: registry.passkeys.find(name))
        key, handle = (None, "") if found is None else (found.public_key, found.handle)
        counter, challenge = await asyncio.to_thread(self._ceremonies.signed, browser, credential, key, handle, now_us)

        def begun(registry: Registry) -> PersonSession:
            passkey = registry.passkeys.use(name, counter, challenge.value, now_us, challenge.expires_us)
            return registry.sessions.opened(passkey.role, passkey.holder, now_us)

        return await self._sessions.begin_by("a passkey", begun)

    def _handle(self, person: Person, known: list[Passkey]) -> str:
        return known[0].handle if known else self._ceremonies.handle(person.role, person.name)

    def _now_us(self) -> int:
        return self._sessions.now_us()

    def _note(self, action: str, person: Person, passkey: Passkey) -> None:
        actor = "user" if person.user is not None else f"admin {person.name}"
        self._sessions.note(action, actor=actor, user=person.user, passkey=passkey.id[:8])


def routes(
    passkeys: Passkeys, beginnings: Beginnings, callers: Callers, visitor: Visitor, anybody: Anybody
) -> APIRouter:
    """The routes of passkeys."""
    router = APIRouter(tags=["people"])

    async def listed(person: Person) -> Response:
        return written({"passkeys": list(map(described_passkey, await passkeys.of(person)))})

    @router.get(
        "/v1/session/passkeys", summary="The own passkeys", responses=answers("Passkeys", "They.", 401, 403, 503)
    )
    async def own(caller: Annotated[Caller, Depends(visitor)]) -> Response:
        """Of whom the session is, the oldest first."""
        return await listed(_person(caller))

    @router.post(
        "/v1/session/passkeys/challenge",
        summary="Begin to add a passkey",
        responses=answers("PasskeyOptions", "What to make it with.", 401, 403, 409, 503),
    )
    async def challenged(caller: Annotated[Caller, Depends(visitor)]) -> Response:
        """What `PublicKeyCredential.parseCreationOptionsFromJSON` reads. It is answered within five minutes, once."""
        return written(await passkeys.to_make(_person(caller)))

    @router.post(
        "/v1/session/passkeys",
        summary="Add a passkey",
        responses=answers("Passkeys", "The passkeys, with the new one.", 400, 401, 403, 408, 409, 413, 415, 503),
        openapi_extra=form("PasskeyRequest"),
    )
    async def added(request: Request, caller: Annotated[Caller, Depends(visitor)]) -> Response:
        """`credential` is what `navigator.credentials.create()` gave, as its `toJSON()` has it."""
        person = _person(caller)
        wish = await read_form(request, PasskeyRequest, _EXAMPLE)
        try:
            await carried_out(passkeys.add(person, wish))
        except TokenError as error:
            raise HttpError(400, "bad_input", error.detail, hint="ask for a challenge, and try again") from None
        return await listed(person)

    @router.delete(
        "/v1/session/passkeys/{passkey}",
        summary="Remove a passkey",
        responses=answers("Passkeys", "The passkeys that are left.", 401, 403, 404, 503),
    )
    async def removed(passkey: str, caller: Annotated[Caller, Depends(visitor)]) -> Response:
        """It lets nobody in any more. Sessions that it began go on."""
        person = _person(caller)
        await carried_out(passkeys.remove(person, passkey))
        return await listed(person)

    @router.post(
        "/v1/session/challenge",
        summary="Begin to sign in with a passkey",
        responses=answers("PasskeyOptions", "What to sign.", 409, 429, 503),
    )
    async def asked(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        """What `PublicKeyCredential.parseRequestOptionsFromJSON` reads: whose passkeys there are is not told."""
        beginnings.take(peer_of(request), time.monotonic())
        browser = secrets.token_urlsafe(32)
        answer = written(passkeys.to_sign(browser))
        answer.set_cookie(
            CHALLENGE_COOKIE, browser, max_age=CHALLENGE_S, path="/", secure=True, httponly=True, samesite="strict"
        )
        return answer

    @router.post(
        "/v1/session",
        summary="Sign in with a passkey",
        responses=answers("Session", "A session, in cookies.", 400, 401, 408, 409, 413, 415, 429, 503),
        openapi_extra=form("SignInRequest"),
    )
    async def signed_in(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        """`credential` is what `navigator.credentials.get()` gave, as its `toJSON()` has it."""
        beginnings.take(peer_of(request), time.monotonic())
        wish = await read_form(request, SignInRequest, '{"credential": {…}}')
        browser = request.cookies.get(CHALLENGE_COOKIE, "")
        async with callers.trying(peer_of(request), "passkey"):
            tokens = await passkeys.sign_in(browser, wish.credential)
        answer = with_cookies(tokens)
        answer.delete_cookie(CHALLENGE_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    return router


def _person(caller: Caller) -> Person:
    assert caller.person is not None
    return caller.person
