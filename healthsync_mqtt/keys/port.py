"""What the ring asks of whoever holds the outer key."""

from typing import Protocol


class KeyProvider(Protocol):
    """Wraps data keys with an outer key that never leaves it.

    The outer key has versions. ``wrap`` uses the newest; ``unwrap`` knows every version that was not forgotten.
    ``about`` says what the key is for: what was wrapped about one thing is not unwrapped about another.

    Every method may raise KeyUnavailableError while the holder is away; then nothing has changed, and trying again may
    work. Methods may be called from several threads and processes.
    """

    @property
    def name(self) -> str:
        """A short word, kept beside each wrapped key."""

    def wrap(self, key: bytes, about: bytes) -> bytes:
        """The key in a form that tells nothing without the outer key; another one each time."""

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        """The key again. TamperedError for what this provider never made about this."""

    def newest(self) -> str:
        """The version of the outer key that wraps what is new."""

    def version(self, wrapped: bytes) -> str:
        """The version that says to have wrapped this; the holder is not asked. May raise TamperedError."""

    def rotate(self) -> None:
        """Make a new version; what older ones have wrapped is still unwrapped. Durable when it returns."""

    def forget_older(self, newest: str) -> None:
        """Destroy the versions before this one, where the holder lets us. To be called when nothing needs them.

        What has become the newest since then is no reason to destroy this one.
        """

    def remove(self) -> None:
        """Destroy the outer key where it is ours alone. To be called when nothing is wrapped with it.

        What is called after it raises KeyUnavailableError, in every process: nothing is wrapped with what is gone.
        Where the holder keeps keys of others, too, nothing happens. May be called again.
        """

    def check(self) -> None:
        """Wrap and unwrap something, so that what is wrong is told now and not at the next new user."""
