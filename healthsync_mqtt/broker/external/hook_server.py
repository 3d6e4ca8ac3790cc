"""The HTTP service of the access hooks (extra ``hooks``): Starlette and uvicorn around ``hooks.answer``."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol

from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
from healthsync_mqtt.broker.external.hooks import answered
from healthsync_mqtt.broker.external.question import HookAnswer, Question
from healthsync_mqtt.errors import ConfigError, HealthSyncError
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("auth")

SECRET_CREDENTIAL = "healthsync-hooks"  # noqa: S105 - the name of a credential
_MOST_BODY = 65_536
_REFRESH_S = 1.0


class Evictor(Protocol):
    """Closes connections at the broker."""

    def evict(self, client_id: str) -> None:
        """Close what this client has open, and end its session; blocks. Raises UnavailableError."""

    def narrow(self, client_id: str, may: Callable[[str], bool]) -> bool:
        """Leave of the client's session what it may read; blocks. Raises UnavailableError.

        ``may`` says of a topic or filter whether it may be read. False: the session had to end, because something waits
        in it that may not go out, and that cannot be taken out alone.
        """


def application(
    gate: Gatekeeper, secret: str, *, evictors: tuple[Evictor, ...] = (), clock: Callable[[], float] = time.time
) -> Any:
    """The ASGI application: hooks below ``/{secret}/``, and ``/health``. ConfigError without the extra."""
    try:
        from starlette.applications import Starlette  # noqa: PLC0415  # an extra
        from starlette.requests import Request  # noqa: PLC0415
        from starlette.responses import PlainTextResponse, Response  # noqa: PLC0415
        from starlette.routing import Route  # noqa: PLC0415
    except ImportError:
        raise ConfigError("the access hooks need Starlette", hint="in the checkout: pip install '.[hooks]'") from None

    async def hook(request: Request) -> Response:
        if not hmac.compare_digest(request.path_params["secret"].encode(), secret.encode()):
            return Response(b"", 404)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BODY:
                return Response(b"", 413)
        path = "/" + request.path_params["path"]
        question = Question(path, {key.lower(): value for key, value in request.headers.items()}, bytes(body), clock())
        said: HookAnswer = await answered(gate, question, newcomers)
        return Response(said.body, said.status, media_type=said.content_type)

    watch, newcomers = Watch(gate, evictors), Newcomers(gate.chain)

    async def health(_request: Request) -> Response:
        if gate.stale or watch.problem:
            return PlainTextResponse(f"{watch.problem or 'the registry cannot be followed'}\n", 503)
        return PlainTextResponse("ok\n")

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        watching = asyncio.create_task(watch.run(), name="auth.registry")
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        newcomers.close()
        with suppress(HealthSyncError, OSError):
            await asyncio.to_thread(gate.write_refused)

    routes = [Route("/health", health), Route("/{secret}/{path:path}", hook, methods=["POST"])]
    return Starlette(routes=routes, lifespan=lifespan)


class Watch:
    """Follows the registry, and throws out at the broker who lost the right to be connected, until that has worked."""

    def __init__(self, gate: Gatekeeper, evictors: tuple[Evictor, ...]) -> None:
        self._gate = gate
        self._evictors = evictors
        #: who is to be thrown out, and whose session is to have less; the one whose turn it is first
        self._owed: dict[str, None] = {}
        self._shrunk: dict[str, None] = {}
        #: what does not work at the moment, in words; empty: all of it works
        self.problem = ""

    async def run(self) -> None:
        """For ever: whatever goes wrong is said, and tried again."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._owed |= dict.fromkeys(sorted(await loop.run_in_executor(None, self._gate.refresh)))
            except Exception as error:  # noqa: BLE001  # a watch that ended would keep the gate open
                self._failed("registry", error)
            else:
                self.problem = ""
            try:
                await loop.run_in_executor(None, self._gate.write_refused)
            except Exception as error:  # noqa: BLE001  # the same; what was counted is kept
                self._failed("refused logins", error)
            self._shrunk |= dict.fromkeys(sorted(self._gate.shrunk()))
            await self._settle(self._owed, self._evict)
            await self._settle(self._shrunk, self._narrow)
            await asyncio.sleep(_REFRESH_S)

    async def _settle(self, owed: dict[str, None], effect: Callable[[str], None]) -> None:
        """Let what is owed have its effect at the broker. One that fails goes to the end, and stops nobody."""
        for client_id in list(owed):
            try:
                await asyncio.get_running_loop().run_in_executor(None, effect, client_id)
            except Exception as error:  # noqa: BLE001  # a watch that ended would keep the gate open
                self._failed("eviction", error)
                owed[client_id] = owed.pop(client_id)
                break
            del owed[client_id]

    def _evict(self, client_id: str) -> None:
        for evictor in self._evictors:
            evictor.evict(client_id)
        self._shrunk.pop(client_id, None)
        log.info("auth.evicted", client_id=client_id)

    def _narrow(self, client_id: str) -> None:
        may = partial(self._gate.may_still_read, client_id)
        kept = [evictor.narrow(client_id, may) for evictor in self._evictors]
        self._gate.settled(client_id)
        log.info("auth.narrowed", client_id=client_id, session="kept" if all(kept) else "ended")

    def _failed(self, what: str, error: Exception) -> None:
        said = str(error) if isinstance(error, HealthSyncError) else error.__class__.__name__
        self.problem = f"{what}: {said}"
        log.warning("auth.upkeep_failed", what=what, problem=said, owed=len(self._owed))


def run(app: Any, host: str, port: int, *, said: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``said`` gets the address when it listens."""
    import uvicorn  # noqa: PLC0415  # an extra

    class Server(uvicorn.Server):  # type: ignore[misc, unused-ignore]
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                name = self.servers[0].sockets[0].getsockname()
                said(f"{name[0]}:{name[1]}")

    # Questions hold passwords: no access log.
    config = uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, server_header=False)
    Server(config).run()
