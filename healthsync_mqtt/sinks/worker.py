"""The process of one sink: ``python -m healthsync_mqtt.sinks.worker [--registry FILE] [--shard 1/2] DATA NAME``.

A process of its own, because encoding and compressing hold the interpreter: in a thread they would hold up the event
loop, and with it every acknowledgement. It reads the log with its own connection. On stdout it writes JSON lines:
``{"cursor": 17}``, each second ``{"status": {…}}``, ``{"asks": "ship"}`` before it waits for its server and
``{"asks": ""}`` after it, and ``{"failed": {…}}`` before it ends with an error. When stdin ends the service is gone
and so is this process, at once: what it was sending is in the log and will be sent again. So it is when a service that
said on stdin that it is there is silent. It has a lock on its sink's ledger: two never ship to one sink.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.config.private_files import file_lock
from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.sinks.bridge_part import BridgePart
from healthsync_mqtt.sinks.config import SinkConfig, Sinks
from healthsync_mqtt.sinks.coverage import Coverage
from healthsync_mqtt.sinks.kinds import open_days, open_ledger, open_sink
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.shipper import Shipper, SinkPhase
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.telemetry.log import configure, get_logger
from healthsync_mqtt.telemetry.parent import end_with_parent, give_way, tell

log = get_logger("sink")

_STATUS_S = 1.0
_SAVE_S = 10.0
_LOOK_S = 0.5
_NICE = 5
_TROUBLE_S = 2.0
_SILENCE_S: Final = 8.0
"""A service says each second that it is there. Shorter than the server of the log waits before another one leads."""


def main(arguments: list[str]) -> int:
    """Ship until stdin ends. The exit code is 0 after that, and an error's own otherwise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--registry", type=Path)
    parser.add_argument("--shard", type=Shard.parse, default=Shard.parse(""))
    parser.add_argument("data", type=Path)
    parser.add_argument("name")
    said = parser.parse_args(arguments)
    data: Path = said.data
    name: str = said.name
    configure(os.environ.get("HEALTHSYNC_LOG__LEVEL", "info"))  # type: ignore[arg-type]
    give_way(_NICE)
    end_with_parent(silence_s=_SILENCE_S)
    try:
        run(data, name, BridgePart(said.registry or data / "registry.db", said.shard))
    except HealthSyncError as error:
        log.error("sink.stopped", sink=name, error=error)  # noqa: TRY400 - no traceback
        tell({"failed": {"reason": error.reason, "message": str(error), "fix": error.hint}})
        return error.exit_code
    return 0


def run(data: Path, name: str, part: BridgePart) -> None:
    """Ship for ever. Raises HealthSyncError when it cannot go on; the service starts it again."""
    with _alone(Sinks(data), name):
        _ship(data, name, part)


@contextmanager
def _alone(sinks: Sinks, name: str) -> Iterator[None]:
    """Once no other process ships to this sink, and until the end of the ``with``: none does.

    One of a bridge that led before may be left, stopped in the middle of a write.
    """
    with ExitStack() as held:
        since = time.time_ns() // 1000
        while True:
            try:
                held.enter_context(file_lock(sinks.ledger(name), within_s=_STATUS_S))
            except UnavailableError as error:
                tell({"status": _waits(name, str(error), since)})
            else:
                break
        yield


def _waits(name: str, message: str, since_us: int) -> dict[str, Any]:
    return {
        "sink": name,
        "state": "waiting",
        "since": iso(since_us),
        "reason": "another_process",
        "message": message,
        "fix": "a bridge that shipped before has not ended; is it stopped? end its process",
        "cursor": 0,
    }


def _ship(data: Path, name: str, part: BridgePart) -> None:
    sinks = Sinks(data)
    stamp = _stamp(sinks.file(name))  # before it is read: what changes from then on is noticed
    sink = sinks.get(name)
    reader = open_reader(data)
    ledger = open_ledger(sinks, sink, reader)
    # A ledger that is new, or older than the cursor, means that the bucket may lack what came before.
    cursor = min(reader.cursor(sink.cursor) or 0, ledger.state().get("cursor", 0))
    coverage = Coverage.open(part.registry)
    shipper = assemble(
        sinks,
        sink,
        reader=part.rows(reader),
        ledger=ledger,
        cursor=cursor,
        keep=_tell_cursor,
        permit=coverage.permits,
        asks=_tell_asking,
    )
    days = open_days(
        sinks,
        sink,
        epoch=reader.epoch,
        summaries=_summaries(data, sinks),
        ledger=ledger,
        covers=coverage.covers,
        owns=part.shard.owns,
        asks=_tell_asking,
    )
    _tell_cursor(cursor)  # it may be behind what the log knows, and nothing is purged that it has yet to ship
    looked = told = saved = 0.0
    last: dict[str, Any] = {}
    while True:
        wait = shipper.step()
        if ledger.erasures:
            return  # started again without what it knows of them: a pseudonym that was deleted is not used again
        if days is not None and wait and shipper.phase is SinkPhase.IDLE:
            days.step()
        now = time.monotonic()
        if now - looked >= _LOOK_S:
            looked = now
            if (newer := _stamp(sinks.file(name))) != stamp:
                stamp = newer
                if (changed := sinks.get(name)).model_copy(update={"paused": sink.paused}) != sink:
                    return  # started again with the new configuration
                sink = changed
                shipper.wake(changed)
        if now - told >= _STATUS_S:
            told = now
            status = shipper.status() | ({} if days is None else days.status())
            tell({"status": status})  # every second, changed or not: silence means that this process hangs
            if status != last or now - saved >= _SAVE_S:
                last, saved = status, now
                ledger.save_state(status | {"said_us": time.time_ns() // 1000})
        if wait:
            time.sleep(wait)


def assemble(
    sinks: Sinks, config: SinkConfig, *, reader: LogReader, ledger: SinkLedger, cursor: int, **more: Any
) -> Shipper:
    """A shipper of this sink with all its parts, standing at ``cursor``; ``more`` goes to Shipper."""
    sink = open_sink(sinks, config, reader=reader, ledger=ledger)
    sink.warm_up(cursor)
    return Shipper(config, sink, reader=reader, cursor=cursor, **more)


def _summaries(data: Path, sinks: Sinks) -> Path:
    """Users' days: they are kept where the sinks are at home, and bridges beside that one have a link to it."""
    beside = DataPaths(root=sinks.home).summaries_db
    return beside if beside.exists() else DataPaths(root=data).summaries_db


def _tell_cursor(seq: int) -> None:
    tell({"cursor": seq})


def _tell_asking(what: str) -> None:
    tell({"asks": what})


def _stamp(path: Path) -> tuple[int, int]:
    try:
        info = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (info.st_mtime_ns, info.st_ino)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
