"""Passwords of apps: made here, long enough to be guessed by nobody and short enough to be typed, kept as scrypt.

124 random bits need no slow hash; what is kept is one all the same, so that a copied registry opens no door.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final

_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what is mistaken for something else: i, l, o, 0 and 1."""
_LETTERS: Final = 25
_GROUP: Final = 5
_N, _R, _P = 16_384, 8, 1
_SALT: Final = 16
_SEPARATORS: Final = {ord(each): None for each in "- "}
_ANY: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


def new_password() -> str:
    """Five groups of five letters and digits."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LETTERS))
    return "-".join(letters[at : at + _GROUP] for at in range(0, _LETTERS, _GROUP))


def normal_password(typed: bytes) -> str | None:
    """A password however it was typed: in capitals, with spaces, without dashes. None: it is none of ours."""
    try:
        text = typed.decode("ascii").lower().translate(_SEPARATORS)
    except UnicodeDecodeError:
        return None
    return text if len(text) == _LETTERS and _ANY.issuperset(text) else None


def hashed_password(password: str) -> str:
    """What is kept of a new password: the parameters of scrypt, its salt, its hash."""
    salt = secrets.token_bytes(_SALT)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(_scrypt(_normal(password), salt, _N, _R, _P))}"


def password_fits(text: str, kept: str) -> bool:
    """Whether a normal password is the one of which ``kept`` was made. Takes some 40 ms, without the interpreter."""
    try:
        name, *numbers, salt, digest = kept.split("$")
        n, r, p = map(int, numbers)
        if name != "scrypt":
            return False
        return hmac.compare_digest(_scrypt(text, base64.b64decode(salt), n, r, p), base64.b64decode(digest))
    except ValueError:
        return False


def _normal(password: str) -> str:
    found = normal_password(password.encode())
    assert found is not None
    return found


def _scrypt(text: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(text.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
