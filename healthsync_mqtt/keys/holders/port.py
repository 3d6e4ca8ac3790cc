"""What is asked of a service that holds the outer key. It gives us no key: it wraps and unwraps secrets of ours."""

from typing import NamedTuple, Protocol


class WrappedSecret(NamedTuple):
    """A secret as the service returns it, and which version of its key wraps it."""

    version: str
    blob: bytes


class Holder(Protocol):
    """One service. Every method raises KeyUnavailableError when it is away, refuses, or is not set up."""

    def newest(self) -> str:
        """The version of the key that wraps what is new."""

    def wrap(self, secret: bytes) -> WrappedSecret:
        """The secret, wrapped by the newest version."""

    def unwrap(self, wrapped: WrappedSecret) -> bytes:
        """The secret again."""

    def rotate(self) -> None:
        """Make a new version, which is the newest when this returns."""

    def forget_older(self, newest: str) -> None:
        """Destroy the versions before this one, where the key is ours alone and the service lets us; else nothing."""
