"""An access token of OAuth 2 for as long as it is good: got when it is first needed, and again before it ends."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlencode

from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.holders.holder_request import ask

_MARGIN_S: Final = 60.0
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class AccessGrant:
    """One token, used by any thread."""

    def __init__(self, who: str, form: Callable[[], tuple[str, Mapping[str, str]]]) -> None:
        """``form`` gives the address that is asked and what is posted to it."""
        self._who = who
        self._form = form
        self._turn = threading.Lock()
        self._token = ""
        self._good_until = 0.0

    def headers(self) -> dict[str, str]:
        """With the token, for a JSON request. KeyUnavailableError without one."""
        with self._turn:
            if time.monotonic() >= self._good_until:
                url, form = self._form()
                said = ask(self._who, "POST", url, urlencode(form).encode(), _FORM)
                token, lives_s = said.get("access_token"), said.get("expires_in")
                if not isinstance(token, str) or not isinstance(lives_s, int | float | str):
                    raise KeyUnavailableError(f"{self._who} gave no token", hint="see: healthsync key check")
                self._token, self._good_until = token, time.monotonic() + float(lives_s) - _MARGIN_S
            return {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
