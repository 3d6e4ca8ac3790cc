"""One way to an organisation's login and back. No state: what comes back proves itself, to the browser that left.

The browser keeps a random word in a cookie. What is sent with it (`state`), what the id token has to repeat (`nonce`)
and what the code is exchanged with (PKCE) are codes over that word and the state, by a secret of this installation: who
has seen the address has none of the others, and none is good in another browser.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.model.base64url import base64url, from_base64url

ROUND_S: Final = 600
"""Seconds that one may take for signing in there."""
_NONCE: Final = 16
_TIME: Final = 8
_LENGTH: Final = _NONCE + _TIME + hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Round:
    """One of them, and until when it is good."""

    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    expires_us: int

    @property
    def challenge(self) -> str:
        """What is said of the verifier beforehand (S256)."""
        return base64url(hashlib.sha256(self.verifier.encode()).digest())


class Rounds:
    """Begins them, and knows them again. ``secret`` is what they are proved with."""

    def __init__(self, secret: Callable[[], str]) -> None:
        self._secret = secret

    def begin(self, browser: str, now_us: int) -> Round:
        """A new one of a browser, by its cookie."""
        begun = secrets.token_bytes(_NONCE) + (now_us + ROUND_S * 1_000_000).to_bytes(_TIME)
        return self._round(browser, begun + self._code("state", browser, begun))

    def returned(self, browser: str, state: str, now_us: int) -> Round:
        """The one that this state was given out for. TokenError for any other browser, and when it is over."""
        try:
            value = from_base64url(state)
        except ValueError:
            value = b""
        begun, code = value[: _NONCE + _TIME], value[_NONCE + _TIME :]
        if len(value) != _LENGTH or not browser or not hmac.compare_digest(code, self._code("state", browser, begun)):
            raise TokenError("nobody left from here with that state, or another browser did")
        if now_us >= int.from_bytes(begun[_NONCE:]):
            raise TokenError("the way to the organisation's login took too long")
        return self._round(browser, value)

    def _round(self, browser: str, value: bytes) -> Round:
        return Round(
            state=base64url(value),
            nonce=base64url(self._code("nonce", browser, value)),
            verifier=base64url(self._code("verifier", browser, value)),
            expires_us=int.from_bytes(value[_NONCE : _NONCE + _TIME]),
        )

    def _code(self, what: str, browser: str, over: bytes) -> bytes:
        key = hashlib.blake2b(self._secret().encode(), digest_size=32, person=b"hs oidc").digest()
        return hmac.digest(key, f"{what}\n{browser}\n".encode() + over, "sha256")
