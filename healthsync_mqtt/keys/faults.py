"""What can go wrong with sealed bytes, by who can do something about it."""

from typing import ClassVar, Final

from healthsync_mqtt.errors import StoreError

GIVE_UP: Final = "healthsync key rewrap --give-up-lost"
"""For keys that are lost for good; ``IF_LOST`` is how a fix says so."""
IF_LOST: Final = f"if it is lost for good: {GIVE_UP}"


class KeyUnavailableError(StoreError):
    """The provider of the outer key is away, or does not open this key now. Trying again later may work.

    ``owner`` is whose key it is; "" where it is nobody's alone.
    """

    reason = "key_unavailable"

    def __init__(self, message: str, *, hint: str = "", owner: str = "") -> None:
        super().__init__(message, hint=hint or "see: healthsync key check")
        self.owner = owner

    @property
    def user(self) -> str:
        """Which user's key it is; "" where it is no user's."""
        kind, _, name = self.owner.partition(":")
        return name if kind == "user" else ""


class KeyDestroyedError(StoreError):
    """The ring has no such key: its owner was erased. What it sealed is gone for ever."""

    reason = "key_destroyed"
    retryable: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__("the key of these bytes was destroyed", hint="nothing opens them again")


class TamperedError(StoreError):
    """Sealed bytes are not what was sealed, or lie in another place than they were sealed for."""

    reason = "tampered"
    retryable: ClassVar[bool] = False

    def __init__(self, what: str = "sealed bytes") -> None:
        super().__init__(
            f"{what} are damaged, or were put where they do not belong", hint="restore the file from a backup"
        )


LOST: Final = (KeyDestroyedError, TamperedError)
"""What is never opened again; any other StoreError may be over in a while."""
