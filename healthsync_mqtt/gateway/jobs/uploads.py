"""Files that people upload to be imported: kept sealed, and read by a process of its own, one after the other.

The process is the command `import`: it reads what somebody brought, which costs time and may be anything, publishes it
as a device of the user, and says what it came to. The key of a file is in the memory of the two. An upload that a
gateway which ended has left is not gone on with: what was stored of it is a duplicate the next time.
"""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from healthsync_mqtt.config.private_files import make_private_directory
from healthsync_mqtt.control.service_file import is_alive
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.keys.spool import KEY_BYTES, SpoolWriter
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("gateway")

IDLE_S: Final = 30.0
"""Seconds that a piece of an upload may take to arrive."""
_PIECE: Final = 1_048_576
_KEPT: Final = 200
"""Imports that are remembered, the newest."""
_WAITING: Final = 8
"""Imports that wait, each with its file; one a user."""
_AGAIN_S: Final = 30.0


class UploadState(StrEnum):
    """Where an import is."""

    waiting = "waiting"
    reading = "reading"
    done = "done"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class UploadedImport:
    """One import of a user; ``outcome`` is what the command said, or its error, when it has ended."""

    id: str
    user: str
    device: str
    size: int
    begun_at: float
    state: UploadState = UploadState.waiting
    ended_at: float | None = None
    outcome: dict[str, Any] | None = None


Command = Callable[[Sequence[str]], Sequence[str]]


def import_command(words: Sequence[str]) -> Sequence[str]:
    """The command `healthsync import …` as it is started from here: the key of the file is on its standard input."""
    code = "import os; os.nice(10); from healthsync_mqtt.cli.spooled_import import main; main()"
    return (sys.executable, "-c", code, "import", *words)


class Uploads:
    """Takes files, and imports them. ``run`` is a task of the process."""

    def __init__(self, data: Path, most: int, command: Command = import_command) -> None:
        """``most`` bytes may one file have."""
        self._data = data
        self._folder = data / "imports" / "uploads"
        self._most = most
        self._command = command
        self._known: dict[str, UploadedImport] = {}
        self._queue: deque[tuple[UploadedImport, list[str], bytes]] = deque()
        self._came = asyncio.Event()
        #: users whose file arrives, waits or is read
        self._busy: set[str] = set()
        #: the generation of the registry in which nobody of these users was erased
        self._looked: tuple[int, frozenset[str]] = (-1, frozenset())
        #: who is reading now
        self._reading: tuple[str, asyncio.subprocess.Process] | None = None
        self._swept()

    def of(self, user: str) -> list[UploadedImport]:
        """The imports of a user that are remembered, the newest first."""
        return [each for each in reversed(self._known.values()) if each.user == user]

    def find(self, user: str, number: str) -> UploadedImport | None:
        """One of them."""
        found = self._known.get(number)
        return found if found is not None and found.user == user else None

    @property
    def users(self) -> set[str]:
        """Of whom anything is known."""
        return {each.user for each in self._known.values()}

    def forget(self, user: str) -> None:
        """The user is erased: nothing of the user's imports is left, neither files nor what they came to."""
        for made, *_ in self._queue:
            if made.user == user:
                (self._folder / made.id).unlink(missing_ok=True)
                self._busy.discard(user)
        self._queue = deque(each for each in self._queue if each[0].user != user)
        self._known = {number: each for number, each in self._known.items() if each.user != user}
        if self._reading is not None and self._reading[0] == user:
            with contextlib.suppress(ProcessLookupError):
                self._reading[1].kill()  # its file goes when it has ended

    async def forget_erased(self, registry: Registry) -> None:
        """Forget whoever is erased, or was. Called again and again: it asks who that is where there may be news."""
        users = frozenset(self.users)

        def look() -> tuple[int, set[str]]:
            generation = registry.generation()
            known = self._looked == (generation, users)
            return generation, set() if known else registry.erasures.erased_among(users)

        if users:
            generation, erased = await asyncio.to_thread(look)
            for user in erased:
                self.forget(user)
            self._looked = generation, users - erased

    async def take(
        self, user: str, device: str, options: Sequence[str], length: int | None, pieces: AsyncIterator[bytes]
    ) -> UploadedImport:
        """Keep what arrives, and import it in its turn. HttpError 400, 408, 413, 429, 503."""
        if user in self._busy or len(self._busy) >= _WAITING:
            raise HttpError(429, "too_many", "files are imported", hint="ask again later", retry_after_s=_AGAIN_S)
        if length is not None and length > self._most:
            raise self._too_large()
        self._busy.add(user)
        number, key = f"{os.getpid()}-{secrets.token_urlsafe(12)}", secrets.token_bytes(KEY_BYTES)
        try:
            size = await self._kept(self._folder / number, key, pieces)
        except BaseException:
            self._busy.discard(user)
            (self._folder / number).unlink(missing_ok=True)
            raise
        made = UploadedImport(number, user, device, size, time.time())
        self._remember(made)
        words = [str(self._folder / number), f"--user={user}", f"--device={device}", *options]
        self._queue.append((made, words, key))
        self._came.set()
        return made

    async def run(self) -> None:
        """Import what comes, for ever."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._queue:
                made, words, key = self._queue.popleft()
                try:
                    await self._imported(made, words, key)
                finally:
                    self._busy.discard(made.user)
                    (self._folder / made.id).unlink(missing_ok=True)

    async def _kept(self, file: Path, key: bytes, pieces: AsyncIterator[bytes]) -> int:
        await asyncio.to_thread(make_private_directory, self._folder)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        spool, size, buffer = SpoolWriter(descriptor, key), 0, bytearray()
        try:
            while True:
                try:
                    async with asyncio.timeout(IDLE_S):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise HttpError(408, "slow", "nothing more came of the file", hint="upload it again") from None
                if piece is None:
                    break
                size += len(piece)
                if size > self._most:
                    raise self._too_large()
                buffer += piece
                if len(buffer) >= _PIECE:
                    await _aside(spool.write, bytes(buffer))
                    buffer.clear()
            await _aside(spool.write, bytes(buffer))
            await _aside(spool.finish)
        except OSError as error:
            log.error("gateway.upload_failed", error=error)  # noqa: TRY400  # no traceback
            raise HttpError(503, "unavailable", "the file could not be kept here", retry_after_s=_AGAIN_S) from None
        finally:
            os.close(descriptor)
        if not size:
            raise HttpError(400, "bad_input", "the body is empty", hint="the body is the file itself")
        return size

    async def _imported(self, made: UploadedImport, words: list[str], key: bytes) -> None:
        self._changed(replace(made, state=UploadState.reading))
        state, outcome = UploadState.failed, None
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command([*words, "--data", str(self._data), "--json"]),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            self._reading = made.user, process
            if made.id not in self._known:
                self.forget(made.user)  # erased while it was started
            try:
                said, failed = await process.communicate(key)
                code = process.returncode
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                raise
            outcome = _outcome(said)
            state = UploadState.done if outcome is not None and code in {0, 1} else UploadState.failed
            outcome = outcome or _outcome(failed)
            log.info("gateway.import_ended", state=state, code=code)
        except OSError as error:
            log.error("gateway.import_failed", error=error)  # noqa: TRY400  # no traceback
        finally:
            self._reading = None
            self._changed(replace(made, state=state, ended_at=time.time(), outcome=outcome))

    def _remember(self, made: UploadedImport) -> None:
        self._known[made.id] = made
        while len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]

    def _changed(self, made: UploadedImport) -> None:
        if made.id in self._known:  # else its user is erased meanwhile
            self._known[made.id] = made

    def _swept(self) -> None:
        """Of a gateway that has ended nobody reads a file."""
        for left in self._folder.glob("*-*"):
            process = left.name.partition("-")[0]
            if not (process.isdecimal() and is_alive(int(process))):
                left.unlink(missing_ok=True)

    def _too_large(self) -> HttpError:
        return HttpError(
            413, "too_large", f"the file is longer than {self._most} bytes", hint="see: gateway.upload_bytes"
        )


async def _aside(write: Callable[..., None], *words: bytes) -> None:
    """Off the loop, and to its end also when it is given up: under a number that is closed another file may be open."""
    writing = asyncio.create_task(asyncio.to_thread(write, *words))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.gather(writing, return_exceptions=True)
        raise


def _outcome(said: bytes) -> dict[str, Any] | None:
    """The last object that the command printed."""
    for line in reversed(said.splitlines()):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return None
