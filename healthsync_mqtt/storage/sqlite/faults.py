"""What can go wrong with the store, as errors that say what to do."""

import apsw

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.storage.defect import DefectError


class DiskFullError(StoreError):
    """There is no room for another commit."""

    reason = "disk_full"


class DiskFaultError(StoreError):
    """The disk failed to read, write or sync."""

    reason = "disk_fault"
    retryable = False


class DamagedError(StoreError):
    """The file is not a whole event log."""

    reason = "damaged"
    retryable = False


class BusyError(StoreError):
    """Another process holds the log's lock for too long."""

    reason = "busy"


class FencedError(StoreError):
    """Another writer has taken the log over; this one must stop."""

    reason = "fenced"
    retryable = False


_DEFECTS = (
    apsw.ConstraintError,
    apsw.SQLError,
    apsw.MisuseError,
    apsw.MismatchError,
    apsw.RangeError,
    apsw.InternalError,
    apsw.TooBigError,
    apsw.BindingsError,
)


def store_error(error: apsw.Error, doing: str) -> StoreError:
    """The StoreError for what SQLite reported while ``doing``. Its message names no value of any row."""
    match error:
        case apsw.FullError():
            return DiskFullError(f"the disk is full: {doing}", hint="free disk space; the service goes on by itself")
        case apsw.IOError() | apsw.CantOpenError():
            return DiskFaultError(
                f"the disk failed: {doing} ({type(error).__name__})", hint="look for disk errors: journalctl -k"
            )
        case apsw.CorruptError() | apsw.NotADBError():
            return DamagedError(f"the event log is damaged: {doing}", hint="restore events.db from a backup")
        case apsw.BusyError() | apsw.LockedError():
            return BusyError(f"the event log is locked by another process: {doing}", hint="stop the other process")
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            return StoreError(f"the event log cannot be written: {doing}", hint="check the owner of the data directory")
        case _ if isinstance(error, _DEFECTS):
            return DefectError(
                f"a defect of this program: {doing} ({type(error).__name__})",
                hint="nothing was acknowledged; report it with the log, and use the older version meanwhile",
            )
        case _:
            return StoreError(
                f"the event log failed: {doing} ({type(error).__name__})",
                hint="it is tried again; see the service's log",
            )
