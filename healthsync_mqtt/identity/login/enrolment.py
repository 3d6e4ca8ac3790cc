"""One-time codes with which a new device gets its credentials.

A code is ``HHHH-XXXX-XXXX-XXXX``: a public handle that names the enrolment, so that wrong guesses are counted against
it, and 60 random bits. Letters that are easily confused are read as what they look like (Crockford's base 32).
"""

import hashlib
import hmac
import secrets
from typing import Final

from healthsync_mqtt.errors import ConflictError, TokenError
from healthsync_mqtt.identity.people.lookup import user_of
from healthsync_mqtt.identity.people.names import check_id
from healthsync_mqtt.identity.people.records import Enrolment
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

ENROL_NAME: Final = "enroll"
"""The MQTT username of a client that has a code or a refresh token and no access token yet."""
ENROL_PREFIX: Final = "enroll-"
"""How the client id of such a client begins; no other principal's does."""
CODE_LIFETIME_S: Final = 600
MAX_TRIES: Final = 5
"""Wrong codes after which an enrolment is locked."""

GRACE_US: Final = 60_000_000
"""How long a device whose answer was lost may ask again with the same code."""

_SQL: Final = statements("people", "login")
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("OIL", "011", "- ")
_HANDLE_CHARS = 4
_CODE_CHARS = 16
_LONGEST_TEXT = 40
_SECOND_US = 1_000_000


def normal_code(text: str) -> str | None:
    """The 16 characters of a code as a person may have typed it; None when it is none."""
    if len(text) > _LONGEST_TEXT:
        return None
    code = text.upper().translate(_READ_AS)
    return code if len(code) == _CODE_CHARS and all(char in _ALPHABET for char in code) else None


def shown_code(code: str) -> str:
    """A code as it is printed."""
    return "-".join(code[start : start + 4] for start in range(0, _CODE_CHARS, 4))


def handle_of(code: str) -> str:
    """The public part of a normal code."""
    return code[:_HANDLE_CHARS]


def fits(enrolment: Enrolment, code: str) -> bool:
    """Whether a normal code is the enrolment's; the time does not depend on where it differs."""
    return hmac.compare_digest(_digest(code), enrolment.code_sha256)


class Enrolments:
    """The codes in registry.db."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def create(self, user_id: str, device_id: str, now_us: int, *, lifetime_s: int = CODE_LIFETIME_S) -> str:
        """A new code for a device that may not exist yet, ready to be shown. It replaces an unused older one."""
        check_id("device id", device_id)
        with self._tables.write():
            user_of(self._tables, user_id)
            self._tables.delete("enrolments", "expires_us < ? OR used_us IS NOT NULL", now_us)
            self._tables.delete("enrolments", "user_id = ? AND device_id = ?", user_id, device_id)
            code = self._free_code()
            self._tables.insert(
                "enrolments",
                {
                    "handle": handle_of(code),
                    "user_id": user_id,
                    "device_id": device_id,
                    "code_sha256": _digest(code),
                    "created_us": now_us,
                    "expires_us": now_us + lifetime_s * _SECOND_US,
                    "tries": 0,
                    "used_us": None,
                },
            )
        return shown_code(code)

    def open(self, now_us: int) -> list[Enrolment]:
        """The codes that may still be used, or asked about again."""
        return self._tables.records(Enrolment, _SQL["open_enrolments"], now_us, GRACE_US, MAX_TRIES)

    def find(self, handle: str) -> Enrolment | None:
        """One code, open or not; whoever holds it in memory looks at its end, its tries and its use."""
        found = self._row(handle)
        return None if found is None or found.tries >= MAX_TRIES else found

    def forget(self, user_id: str) -> None:
        """The codes of a user are void, inside ``Registry.write``."""
        self._tables.delete("enrolments", "user_id = ?", user_id)

    def note_tries(self, tries: dict[str, int]) -> None:
        """Write down how often each handle was tried with a wrong code; a lower number changes nothing."""
        with self._tables.write(quiet=True):
            for handle, number in tries.items():
                known = self._row(handle)
                if known is not None and known.tries < number:
                    self._tables.update("enrolments", handle, {"tries": number})

    def redeem(self, handle: str, now_us: int, client_id: str | None = None) -> tuple[str, str]:
        """Use a code up, inside ``Registry.write``: its user and device. TokenError for everybody but the first."""
        known = self._row(handle)
        if known is None or known.used_us is not None:
            raise TokenError("the code was used")
        if known.expires_us <= now_us or known.tries >= MAX_TRIES:
            raise TokenError("the code has expired or is locked")
        self._tables.update("enrolments", handle, {"used_us": now_us, "used_by": client_id})
        return known.user_id, known.device_id

    def again(self, handle: str, now_us: int, client_id: str) -> tuple[str, str] | None:
        """User and device of a code that this client id used a moment ago; None when it did not, or too long ago."""
        known = self._row(handle)
        if known is None or known.used_us is None or known.used_by != client_id:
            return None
        return (known.user_id, known.device_id) if 0 <= now_us - known.used_us <= GRACE_US else None

    def _row(self, handle: str) -> Enrolment | None:
        return self._tables.record(Enrolment, _SQL["enrolment"], handle)

    def _free_code(self) -> str:
        for _ in range(100):
            code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_CHARS))
            if self._row(handle_of(code)) is None:
                return code
        raise ConflictError("too many codes are open", hint="wait ten minutes")


def _digest(code: str) -> str:
    return hashlib.sha256(b"healthsync enrolment code\0" + code.encode()).hexdigest()
