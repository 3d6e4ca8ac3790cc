"""What a client brings to prove who it is, and what it is answered. Values only."""

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.model.principal import Principal

APP_PASSWORD: Final = "password"  # noqa: S105
"""What stands for the id of a token where a password of an app is the proof."""


class Proof(NamedTuple):
    """What a CONNECT brings: its names and password, and the certificate of its connection (DER).

    ``address`` is where it comes from, as far as that is counted; "" where nobody knows.
    """

    client_id: str
    username: str | None
    password: bytes | None
    certificate: bytes | None
    address: str = ""

    def secret(self) -> str:
        """The password as text; TokenError when there is none, or it is not ASCII."""
        if self.password is None:
            raise TokenError("there is no password")
        try:
            return self.password.decode("ascii")
        except UnicodeDecodeError:
            raise TokenError("the password is not ASCII") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An accepted login: who it is, when it ends (epoch seconds, exclusive), and what it was proved with."""

    principal: Principal
    expires_at: float
    #: id of the token, and of the key that signed it; None when there was none
    jti: str | None
    kid: str | None = None
    #: serial number of the client certificate, in hexadecimal; None when there was none
    serial: str | None = None
    #: handle of the one-time code; None when there was none
    enrolment: str | None = None

    @property
    def is_app(self) -> bool:
        """Whether an app's password proved it, which does not expire."""
        return self.jti == APP_PASSWORD


class Denied(NamedTuple):
    """A login that is refused; ``detail`` says why, for the log and the admin.

    ``perhaps_new``: who it names may have been registered after the registry was last read, and the proof is good
    enough to read it again for.
    """

    detail: str
    perhaps_new: bool = False
    #: the proof was good, and taken from its holder
    banned: bool = False
    #: it waits to be checked: ask again after ``Logins.prove``
    unproved: bool = False
    #: it was not looked at, as too many wait: later it may be good
    busy: bool = False


Answer = Login | Denied | None
"""What a link of the chain says; None: this proof is for another link."""


class LoginLink(Protocol):
    """One way of proving who one is. Decides in memory: no link reads a file."""

    def answer(self, proof: Proof, now: float) -> Answer:
        """The login that ``proof`` is good for at ``now`` (epoch seconds), why it is not, or None."""


class BannedError(TokenError):
    """The proof was good once: it was revoked, or its holder was."""


class UnprovedError(TokenError):
    """A password that is to be checked beside the loop."""


class CrowdedError(TokenError):
    """Nobody has looked at the password: too many wait for that. It counts as no failed login."""


class PerhapsNewError(TokenError):
    """A refusal that may become a login once the registry was read again; else ``banned`` is as in ``Denied``."""

    def __init__(self, detail: str, *, banned: bool = False) -> None:
        super().__init__(detail)
        self.banned = banned
