"""Changes of the registry at somebody's word: each is one transaction with its rows for the audit log, or nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from healthsync_mqtt.control.channel import heeded
from healthsync_mqtt.errors import ConflictError, HealthSyncError, InputError, NotFoundError, UsageError
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.login.callers import Caller, Callers
from healthsync_mqtt.gateway.login.sessions import PersonSessions
from healthsync_mqtt.identity.registry import Registry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deed:
    """One change: the registry within its transaction, who does it, when, and what is written down of it."""

    registry: Registry
    actor: str
    now_us: int
    _sessions: PersonSessions

    def note(self, action: str, *, user: str | None = None, device: str | None = None, **detail: Any) -> None:
        """A row for the audit log, as commands write it. Persons appear as pseudonyms; ``detail`` has no secret."""
        self._sessions.note(action, actor=self.actor, user=user, device=device, **detail)


class Deeds:
    """Does what callers ask for; the gateway and the running service go by it before they are answered."""

    def __init__(self, sessions: PersonSessions, callers: Callers, data: Path) -> None:
        self._sessions = sessions
        self._callers = callers
        self._data = data

    async def do(self, caller: Caller, work: Callable[[Deed], T]) -> T:
        """Change something. HttpError 400, 404 or 409 for what cannot be done."""
        actor, now_us = actor_of(caller), self._sessions.now_us()
        with_sessions = self._sessions

        def change(registry: Registry) -> T:
            return work(Deed(registry, actor, now_us, with_sessions))

        done = await carried_out(self._sessions.changed(change))
        await asyncio.gather(self._callers.read_again(), asyncio.to_thread(heeded, self._data))
        return done

    async def ask(self, question: Callable[[Registry], T]) -> T:
        """Ask the registry. HttpError 400 or 404."""
        return await carried_out(self._sessions.asked(question))

    def now_us(self) -> int:
        """The time that changes go by."""
        return self._sessions.now_us()


def actor_of(caller: Caller) -> str:
    """Who did it, as the audit log and the history of consent name them: no user by name."""
    person = caller.person
    if person is not None and person.user is not None:
        return "user"
    return f"{caller.principal.role} {caller.principal.client_id}"


async def carried_out(work: Awaitable[T]) -> T:
    """What a work comes to. What it raises is raised as it is answered: HttpError 400, 404 or 409, or itself."""
    try:
        return await work
    except HealthSyncError as error:
        raise answered(error) from None


def answered(error: HealthSyncError) -> HealthSyncError:
    """An error of the registry as it is answered."""
    match error:
        case NotFoundError():
            return HttpError(404, "not_found", str(error), hint=error.hint)
        case ConflictError():
            return HttpError(409, "conflict", str(error), hint=error.hint)
        case InputError() | UsageError():
            return HttpError(400, "bad_input", str(error), hint=error.hint)
        case _:
            return error
