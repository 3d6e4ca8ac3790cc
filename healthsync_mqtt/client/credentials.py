"""A device's identity as ``healthsync device add … --json`` prints it, or as an enrolment returns it."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.config.private_files import make_private_directory, write_durably
from healthsync_mqtt.errors import DeniedError, InputError
from healthsync_mqtt.model.base64url import from_base64url
from healthsync_mqtt.model.times import iso

_NEEDED = ("user_id", "device_id", "client_id", "username", "token")
_HINT = "save the output of: healthsync device add USER DEVICE --json"


class TokenExpiredError(DeniedError):
    """The token's time is over, and the client cannot renew it by itself."""

    reason = "token_expired"

    def __init__(self) -> None:
        super().__init__(
            "the token has expired",
            hint="issue a new one: healthsync device token USER DEVICE (an enrolled device renews its own)",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """User, device and login of one device. Tokens are left out of ``repr``.

    ``refresh_token`` buys the next access token; ``expires_at`` (epoch seconds) is the end of the present one.
    ``file`` is where they are kept: what replaces them is written there before it is used.
    """

    user_id: str
    device_id: str
    client_id: str
    username: str
    token: str = field(repr=False)
    expires_at: float | None = None
    refresh_token: str | None = field(default=None, repr=False)
    file: Path | None = None

    @classmethod
    def from_mapping(cls, values: dict[str, Any], *, file: Path | None = None) -> Self:
        """From the keys of ``device add --json``; further keys are ignored. Raises InputError when one is missing."""
        try:
            refresh = values.get("refresh_token")
            return cls(
                **{name: str(values[name]) for name in _NEEDED},
                expires_at=_seconds(values.get("expires_at")),
                refresh_token=None if refresh is None else str(refresh),
                file=file,
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"not the credentials of a device: {error} is missing", hint=_HINT) from None

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """From a file with the JSON object that ``device add --json`` printed, or that ``save`` wrote."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read credentials from {path}: {error.__class__.__name__}", hint=_HINT) from None
        return cls.from_mapping(values if isinstance(values, dict) else {}, file=path)

    def save(self) -> None:
        """Write them to ``file`` (mode 0600), on disk when this returns; nothing where there is no file."""
        if self.file is None:
            return
        values: dict[str, Any] = {name: getattr(self, name) for name in _NEEDED}
        if self.expires_at is not None:
            values["expires_at"] = iso(int(self.expires_at * 1_000_000))
        if self.refresh_token is not None:
            values["refresh_token"] = self.refresh_token
        if not self.file.parent.exists():
            make_private_directory(self.file.parent)
        write_durably(self.file, json.dumps(values).encode() + b"\n")


def ends(token: str) -> float | None:
    """When a token says that its time is over (epoch seconds); None for what says nothing. Nothing is verified here."""
    return _claimed(token, "exp")


def lifetime(token: str) -> float:
    """How many seconds a token is good for in all, by its own words; 0 for what says nothing."""
    began, end = _claimed(token, "iat"), _claimed(token, "exp")
    return 0.0 if began is None or end is None else max(0.0, end - began)


def _claimed(token: str, name: str) -> float | None:
    try:
        body = token.split(".")[1]
        claims = json.loads(from_base64url(body))
        return float(claims[name])
    except (IndexError, ValueError, KeyError, TypeError):
        return None


def expired(token: str, now: float) -> bool:
    """Whether a token says that its time is over; False for what is no token."""
    end = ends(token)
    return end is not None and end <= now


def _seconds(text: object) -> float | None:
    """Epoch seconds of an ISO time; None for what is none: then the token is used until it is refused."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
