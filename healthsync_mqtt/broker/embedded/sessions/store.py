"""sessions.db: what persistent sessions are owed, over a restart and a kill. Written in groups, in a thread of its own.

What sessions say is gathered by what it is about, so that the newest word counts: a message that is acknowledged before
its turn comes is never written at all. Whoever has to know that something is durable asks ``durable``; a group is
written at once for it, and a moment later otherwise. A group that fails is written again together with the next one.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from healthsync_mqtt.broker.embedded.sessions.file import Key, Row, SessionsFile, principal_json
from healthsync_mqtt.broker.embedded.sessions.port import KeptSession, KeptWill, OwedMessage, Subscribed
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.outage import Outage

log = get_logger("door")

#: How long a group gathers when nobody waits for it, and the pause after one that failed.
_GATHER_S: Final = 0.02
_RETRY_S: Final = 1.0


class _Group(NamedTuple):
    """What one transaction writes, and who waits for it."""

    rows: dict[Key, Row]
    waiting: list[Callable[[], None]]


class SessionStore:
    """The ``Keep`` of a service. Used on the event loop; ``open`` reads the file, before it."""

    def __init__(
        self, database: SessionsFile, *, thread: Executor | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Use ``open``. ``thread`` writes the groups, one at a time."""
        self._database = database
        self._clock = clock
        self._running_before = database.running_us / 1e6
        self._since = clock()
        self._last = max((session.no for session in database.kept), default=0)
        self._rows: dict[Key, Row] = {}
        self._waiting: list[Callable[[], None]] = []
        self._writer = thread or ThreadPoolExecutor(1, thread_name_prefix="sessions")
        self._writing: Future[None] | None = None
        self._timer: asyncio.Handle | None = None
        #: when the timer is due, by the loop's clock: uvloop's handle of a timer that is due at once does not say
        self._due = 0.0
        self._outage = Outage(log, "door.sessions")
        self._closed = False
        #: whether the next group leaves nothing of what went in the file
        self._scrub = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        vfs: str | None = None,
        thread: Executor | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """The store at ``path``, made where it is missing, on another file system where one is named.

        ConfigError or StoreError.
        """
        return cls(SessionsFile(path, vfs), thread=thread, clock=clock)

    @property
    def healthy(self) -> bool:
        """Whether the last group could be written."""
        return not self._outage.ongoing

    def close(self) -> None:
        """Write what is left and close; the loop waits for that."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._writer.shutdown()
        with suppress(StoreError):
            self._database.write(self._rows, round(self.running() * 1e6))
        self._database.close()

    # -- Keep

    def running(self) -> float:
        """Seconds that the service has run, all runs together."""
        return self._running_before + self._clock() - self._since

    def sessions(self) -> Sequence[KeptSession]:
        """What an earlier run left; once."""
        kept, self._database.kept = self._database.kept, []
        return kept

    def retained(self) -> Sequence[Retained]:
        """The same of retained messages."""
        kept, self._database.retained = self._database.retained, []
        return kept

    def wills(self) -> Mapping[int, KeptWill]:
        """The same of wills that wait, by their number."""
        kept, self._database.wills = self._database.wills, {}
        return kept

    def opened(self, principal: Principal) -> int:
        """A new session; its number."""
        self._last += 1
        self.changed(self._last, principal, None)
        return self._last

    def changed(self, session: int, principal: Principal, left: float | None, expiry: float | None = None) -> None:
        """The session's client has come, or left at this time; ``expiry`` as in ``KeptSession``."""
        row = (session, principal.client_id, principal_json(principal), _us(left), _us(expiry))
        self._put(("session", session), row)

    def dropped(self, session: int) -> None:
        """The session and all it had is gone."""
        self._put(("session", session), None)

    def filter(self, session: int, topic_filter: str, kept: Subscribed | None) -> None:
        """A filter as it is now; None: gone."""
        row = (
            None
            if kept is None
            else (session, topic_filter, kept.qos, int(kept.replaying), kept.options, kept.identifier)
        )
        self._put(("filter", session, topic_filter), row)

    def owed(self, session: int, no: int, message: OwedMessage | None) -> None:
        """A message as it is now; None: acknowledged, or given up."""
        key = ("owed", session, no)
        before = self._rows.get(key)
        fresh = before[1] if before is not None else message is not None and not message.packet_id
        if message is None and fresh:
            del self._rows[key]
            return
        self._put(key, None if message is None else (message, fresh))

    def unreleased(self, session: int, packet_id: int, *, waits: bool) -> None:
        """Whether a QoS 2 message of the client waits for its release."""
        self._put(("unreleased", session, packet_id), (session, packet_id) if waits else None)

    def retain(self, topic: str, message: Retained | None) -> None:
        """The retained message of a topic; None: it has none."""
        self._put(("retained", topic), None if message is None else _retained_row(message))

    def will(self, no: int, will: KeptWill | None) -> None:
        """A will that waits, by its number; None: it was published, or is not to be."""
        self._put(("will", no), None if will is None else _will_row(no, will))

    def durable(self, then: Callable[[], None]) -> None:
        """Call ``then`` on the event loop when everything said so far is on disk."""
        if not self._rows and self._writing is None and not self._waiting:
            then()
            return
        self._waiting.append(then)
        self._soon(0.0)

    def scrubbed(self, then: Callable[[], None]) -> None:
        """The same, and nothing of what is gone by then is in any file."""
        self._scrub = True
        self._waiting.append(then)
        self._soon(0.0)

    # -- groups

    def _put(self, key: Key, row: Row) -> None:
        _say(self._rows, key, row)
        self._soon(_GATHER_S)

    def _soon(self, seconds: float) -> None:
        if self._closed or self._writing is not None:
            return
        due = asyncio.get_running_loop().time() + seconds
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._write_in(seconds)

    def _write_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + seconds
        self._timer = loop.call_later(seconds, self._write)

    def _write(self) -> None:
        self._timer = None
        if self._closed or not (self._rows or self._waiting):
            return
        group = _Group(self._rows, self._waiting)
        self._rows, self._waiting = {}, []
        loop = asyncio.get_running_loop()
        self._writing = self._writer.submit(self._put_down, group.rows, round(self.running() * 1e6), self._scrub)
        self._scrub = False
        self._writing.add_done_callback(lambda done: _tell(loop, self._written, group, done))

    def _put_down(self, rows: dict[Key, Row], running_us: int, scrub: bool) -> None:  # noqa: FBT001  # in the thread
        self._database.write(rows, running_us)
        if scrub:
            self._database.scrub()

    def _written(self, group: _Group, done: Future[None]) -> None:
        self._writing = None
        error, now = done.exception(), asyncio.get_running_loop().time()
        if error is not None:
            self._outage.failed(now, error=str(error))
            self._merge(group.rows)
            self._scrub = True  # at worst once more than it had to be
            self._waiting = group.waiting + self._waiting
            if not self._closed:
                self._write_in(_RETRY_S)
            return
        self._outage.worked(now)
        if self._rows or self._waiting:
            self._soon(0.0 if self._waiting else _GATHER_S)
        for then in group.waiting:
            then()

    def _merge(self, failed: dict[Key, Row]) -> None:
        """What was not written goes first; what has been said of it since counts."""
        for key, row in self._rows.items():
            before = failed.get(key)
            if key[0] == "owed" and row is not None and before is not None:
                row = row[0], row[1] or before[1]  # noqa: PLW2901  # still the first time that it is written
            _say(failed, key, row)
        self._rows = failed


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)


def _retained_row(message: Retained) -> tuple[Any, ...]:
    return message.topic, message.payload, message.qos, message.about, _us(message.expires)


def _will_row(no: int, will: KeptWill) -> tuple[Any, ...]:
    principal, due, topic, payload, qos, retain, about, lives_s = will
    return no, principal_json(principal), _us(due), topic, payload, qos, int(retain), about, lives_s


def _say(rows: dict[Key, Row], key: Key, row: Row) -> None:
    """The newest word counts. What is new or goes comes after what was said before; what changes stays in its place."""
    if row is None or rows.get(key) is None:
        rows.pop(key, None)
    rows[key] = row


def _tell(
    loop: asyncio.AbstractEventLoop, written: Callable[[_Group, Future[None]], None], group: _Group, done: Future[None]
) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
        loop.call_soon_threadsafe(written, group, done)
