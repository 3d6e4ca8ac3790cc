"""Every error of the package: one root, subclasses by who must act.

Each carries ``reason`` (a stable word), ``hint`` (the fix, as a command or setting) and ``exit_code`` (what the CLI
returns). Messages name no secret and no health value.
"""

from enum import StrEnum
from typing import ClassVar


class HealthSyncError(Exception):
    """Root of all errors raised on purpose. ``str(error)`` is what went wrong; ``hint`` is what to do."""

    reason: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            # A program that does not catch it ends with a traceback, which shows the message alone.
            self.add_note(f"fix: {hint}")


class UsageError(HealthSyncError):
    """The caller of a command must write it differently."""

    reason = "usage"
    exit_code = 2


class InputError(HealthSyncError):
    """A file or value handed in by a user cannot be read as what it claims to be."""

    reason = "bad_input"


class NotFoundError(HealthSyncError):
    """The named thing does not exist."""

    reason = "not_found"


class Noun(StrEnum):
    """What people give names to."""

    user = "user"
    device = "device"
    app = "app"
    subscriber = "subscriber"
    admin = "admin"
    client = "client"
    sink = "sink"
    source = "source"
    password = "password"  # noqa: S105  # the word


class UnknownNameError(NotFoundError):
    """Nothing has this name. Who may see the others' is told the nearest: the command line does that.

    ``hint`` says where the names stand that are there. ``owner`` is the user that the name would belong to, where it
    belongs to one; ``add`` makes what is missing, which is the fix for who brings it something, and for nobody else.
    """

    def __init__(
        self, noun: Noun, name: str, message: str, *, hint: str = "", owner: str | None = None, add: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.noun = noun
        self.name = name
        self.owner = owner
        self.add = add


class ConflictError(HealthSyncError):
    """The named thing exists already."""

    reason = "conflict"


class UnavailableError(HealthSyncError):
    """The operator must start or reach something: broker, service or store."""

    reason = "unavailable"
    exit_code = 69


class DeniedError(HealthSyncError):
    """The caller's identity may not do this."""

    reason = "denied"
    exit_code = 77


class TokenError(DeniedError):
    """A login was refused. ``detail`` says why for the log; the message is the same for every cause."""

    reason = "token_invalid"

    def __init__(self, detail: str) -> None:
        super().__init__("the credentials were refused", hint="issue a new token: healthsync device token USER DEVICE")
        self.detail = detail


class ConfigError(HealthSyncError):
    """The operator must change a setting or a file."""

    reason = "bad_config"
    exit_code = 78


class StoreError(HealthSyncError):
    """The store could not do what was asked; nothing of the request is stored.

    ``retryable``: the same request may work later, once the cause is gone. Otherwise the store must be opened anew,
    because what it holds in memory may no longer be what is on the disk.
    """

    reason = "store_failed"
    retryable: ClassVar[bool] = True
