"""The one place of an installation where persons are erased: whoever has a lock of a session, and looks after it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.identity.people.postgres.session_lock import SessionLock
from healthsync_mqtt.postgres.connection import ServerPlace

_HOME_S: Final = 5.0
"""So long one that starts waits for another: of one that was killed the server gives the place back soon."""
_LOOK_S: Final = 0.5
_GONE_S: Final = 15.0
"""So long another may have the place before this one gives it up: an own connection that was cut is gone before."""

Lost = Callable[[HealthSyncError], object]
"""Called from another thread, once."""


@contextmanager
def home(place: ServerPlace, lost: Lost) -> Iterator[None]:
    """Be the one place of an installation where persons are erased. UnavailableError where there is another.

    The server gives the place back with the connection: a bridge that was killed is waited for. One whose connection
    ends takes it again; ``lost`` is told where another was faster.
    """
    lock = SessionLock(place, "keep_home")
    try:
        _take(lock)
        ending = threading.Event()
        thread = threading.Thread(target=_look_after, args=(lock, ending, lost), name="home", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()
    finally:
        lock.leave()


def _take(lock: SessionLock) -> None:
    lock.open()
    until = time.monotonic() + _HOME_S
    while not lock.take():
        if time.monotonic() >= until:
            raise UnavailableError(
                "another bridge of this registry keeps the files about persons, and erases them",
                hint="set registry.home = false here",
            )
        time.sleep(_LOOK_S)


def _look_after(lock: SessionLock, ending: threading.Event, lost: Lost) -> None:
    since: float | None = None
    while not ending.wait(_LOOK_S):
        try:
            held = lock.take()
        except (HealthSyncError, OSError):
            continue  # whoever comes there meanwhile is seen when the server is
        if held:
            since = None
            continue
        since = time.monotonic() if since is None else since
        if time.monotonic() - since >= _GONE_S:
            lost(
                UnavailableError(
                    "another bridge of this registry took over the files about persons, and erases them",
                    hint="the connection to the server was lost; set registry.home = true at one bridge alone",
                )
            )
            return
