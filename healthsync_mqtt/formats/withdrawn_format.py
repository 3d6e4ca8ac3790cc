"""A format that is known no more: its mapping was taken away, and an app still sends it."""

from collections.abc import Iterator

from healthsync_mqtt.formats.port import AppMessage, Fold, FormatEntry
from healthsync_mqtt.model.reasons import Reason, RefusedError


class Withdrawn:
    """Takes nothing (``port.Format``): its messages are kept as refused, and can be released when it is back."""

    summary = "a format that is known no more"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def __init__(self, name: str) -> None:
        self.name = name

    def takes(self) -> Iterator[FormatEntry]:
        """Nothing."""
        yield from ()

    def fold(self, state: bytes, message: AppMessage) -> Fold:  # noqa: ARG002
        """Raises RefusedError."""
        raise RefusedError(Reason.NOT_ALLOWED, None, f"the format {self.name} is known here no more")
