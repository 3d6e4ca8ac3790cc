"""A log that is put back under a working installation: refused, taken when told so, and filled again by the devices."""

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path

from healthsync_mqtt.storage.anchor import AnchorFile
from healthsync_mqtt.storage.sqlite.comparison import anchor_path
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from tests.support.history import LogCheck
from tests.support.patience import PATIENCE_S
from tests.support.service import NotReadyError
from tests.support.soak.run import Soak, SoakError

RESENT_WITHIN = PATIENCE_S


def copy_log(source: Path, target: Path) -> None:
    """A consistent copy of a log that is in use."""
    target.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(source)) as have, contextlib.closing(sqlite3.connect(target)) as copy:
        have.backup(copy)


def put_back(copy: Path, log: Path) -> None:
    """The copy in place of the log; what belonged to the log that was there goes."""
    for ending in ("-wal", "-shm"):
        log.with_name(log.name + ending).unlink(missing_ok=True)
    copy.replace(log)


async def restore(soak: Soak) -> None:
    """Back to a log of some moments ago: no start without a word, a new epoch, and nothing acknowledged is lost."""
    if not soak.service.running:
        await soak.start()
    await soak.wait_progress()
    for device in soak.devices:
        device.kept = []
    log, copy = soak.data / "events.db", soak.data.with_name("backup.db")
    await asyncio.to_thread(copy_log, log, copy)
    with SqliteLogReader.open(copy) as reader:
        copied = reader.head()
    # The anchor is a second behind: rows that it does not know of yet are not missed.
    while (anchor := AnchorFile(anchor_path(log)).read()) is None or anchor.head <= copied:
        await soak.wait_progress(events=10)
    await asyncio.to_thread(soak.service.kill)
    soak.gone()
    put_back(copy, log)
    try:
        await asyncio.to_thread(soak.service.start)
    except NotReadyError as error:
        if "--accept-restored" not in str(error):
            raise
    else:
        raise SoakError("a log that was put back was opened without a word")
    await soak.start("--accept-restored")
    soak.count("restore")
    until = time.monotonic() + RESENT_WITHIN
    while any(device.kept is not None or device.resent for device in soak.devices):
        if time.monotonic() > until:
            raise SoakError("the devices' last events are not acknowledged again")
        await asyncio.sleep(0.05)
    soak.history.promised()
    soak.check = LogCheck(soak.history)
    promised = soak.history.acknowledged | soak.history.receipted
    await asyncio.to_thread(soak.read, soak.check)
    soak.history.violations += soak.check.missing(promised)
