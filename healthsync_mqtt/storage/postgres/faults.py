"""What can go wrong between a bridge and its PostgreSQL, as errors that say what to do."""

import psycopg
from psycopg import errors

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.postgres.connection import refuses_login
from healthsync_mqtt.storage.defect import DefectError


class ServerGoneError(StoreError):
    """There is no connection to the server, or it was cut: what was staged is not stored."""

    reason = "unreachable"


class ServerFullError(StoreError):
    """The server has no room for another commit."""

    reason = "disk_full"


class ServerBusyError(StoreError):
    """Another transaction holds what this one needs for too long, or the server was in the way."""

    reason = "busy"


class ServerDamagedError(StoreError):
    """The database is not a whole event log."""

    reason = "damaged"
    retryable = False


class ServerRefusesError(StoreError):
    """The server does not let this bridge do it."""

    reason = "not_allowed"
    retryable = False


class LoginRefusedError(StoreError):
    """The server does not let this service in, perhaps because its password was changed there a moment ago."""

    reason = "not_allowed"


class ServerUnsafeError(StoreError):
    """The server would lose what it acknowledged."""

    reason = "unsafe"
    retryable = False


class AloneError(StoreError):
    """Another service has the log, or this one's former connection to it still has."""

    reason = "taken"


class LogTakenError(StoreError):
    """Another service has had the log for so long that this one must not go on as if it were in its place."""

    reason = "taken"
    retryable = False


class OtherLogError(StoreError):
    """Behind the same address is another log than the one that was opened."""

    reason = "log_restored"
    retryable = False


_FULL = (errors.DiskFull, errors.OutOfMemory, errors.ConfigurationLimitExceeded)
_BUSY = (
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.QueryCanceled,
    errors.TooManyConnections,
)
_REFUSED = (
    errors.InsufficientPrivilege,
    errors.InvalidPassword,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
)
_DAMAGED = (errors.DataCorrupted, errors.IndexCorrupted)
_DEFECTS = (psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError, psycopg.NotSupportedError)


def store_error(error: psycopg.Error, doing: str) -> StoreError:
    """The StoreError for what the server reported while ``doing``. Its message names no value of any row."""
    name = type(error).__name__
    match error:
        case _ if isinstance(error, _FULL):
            return ServerFullError(
                f"PostgreSQL has no room: {doing} ({name})",
                hint="free disk space on the server; the service goes on by itself",
            )
        case _ if isinstance(error, _BUSY):
            return ServerBusyError(
                f"PostgreSQL was busy: {doing} ({name})", hint="it is tried again; see the server's log if it lasts"
            )
        case _ if isinstance(error, _REFUSED):
            return ServerRefusesError(
                f"PostgreSQL refuses: {doing} ({name})",
                hint="check user, password, database and privileges of storage.url",
            )
        case _ if refuses_login(error):
            return LoginRefusedError(
                f"PostgreSQL does not let this service in: {doing} ({name})",
                hint="check user, password, database and privileges of storage.url; it is tried again",
            )
        case _ if isinstance(error, _DAMAGED):
            return ServerDamagedError(
                f"the event log is damaged: {doing} ({name})", hint="restore the database from a backup"
            )
        case _ if isinstance(error, _DEFECTS):
            return DefectError(
                f"a defect of this program: {doing} ({name})",
                hint="nothing was acknowledged; report it with the log, and use the older version meanwhile",
            )
        case _:
            return ServerGoneError(
                f"PostgreSQL cannot be used: {doing} ({name})",
                hint="is the server up, and does it take writes? the service goes on by itself when it does",
            )
