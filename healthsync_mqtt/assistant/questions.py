"""Questions to the gateway with one token: what may be told is decided there, and refusals keep its words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from healthsync_mqtt.adapters.web import CloudRequest, DirectWeb, Web, check_url
from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.errors import ConfigError, HealthSyncError, UsageError
from healthsync_mqtt.topics.grammar import is_id

MOST_BYTES: Final = 200_000
"""Of one answer: an assistant reads all of it."""
_TOKEN_LETTERS: Final = frozenset(map(chr, range(0x21, 0x7F)))
_FAULTS: Final = {
    "too_large": ("the answer is too long to be read", "ask for fewer of them, or for a shorter time"),
    "timeout": ("the gateway does not answer", "ask again later; how the service is: healthsync status"),
    "tls": ("the gateway's certificate is not to be trusted", "name the CA that it is of: --ca-file data/certs/ca.crt"),
    "unreachable": ("the gateway cannot be reached", "is it there? healthsync up --http-port 8443"),
}


class UntoldError(HealthSyncError):
    """There is no answer to a question, or it is not for whoever asks."""

    reason = "no_answer"


class GatewayQuestions:
    """Asks one gateway. The token's file is read for each question: one that is renewed there is used at once."""

    def __init__(self, url: str, token_file: Path, web: Web) -> None:
        self._url = url.rstrip("/")
        self._token_file = token_file
        self._web = web
        self._own: dict[str, str] = {}

    @classmethod
    def of(cls, url: str, token_file: Path, ca_file: Path | None) -> "GatewayQuestions":
        """UsageError for an address at which a token would go unencrypted, ConfigError for a file that cannot be it."""
        try:
            check_url(url)
        except ConfigError:
            raise UsageError(f"{url} is no https address", hint="write it like https://localhost:8443") from None
        there = urlsplit(url)
        if there.path.strip("/") or there.query or there.username:
            raise UsageError("the address is more than a host and a port", hint="write it like https://localhost:8443")
        try:
            web = DirectWeb(ca_file=ca_file, most_bytes=MOST_BYTES)
        except OSError:
            raise ConfigError(f"{ca_file} is no CA's certificate", hint="data/certs/ca.crt is the service's") from None
        asking = cls(url, token_file, web)
        asking._token()  # a file that cannot be read is said before anything is asked
        return asking

    def user(self, named: str | None) -> str:
        """The user that is named, or the one whose the token is. Blocks. UntoldError where it is nobody's."""
        if named:
            if not is_id(named):  # it is part of an address
                raise UntoldError("that is no user's id", hint="letters, digits, - and _")
            return named
        token = self._token()
        if token not in self._own:
            form = urlencode({"token": token}).encode()
            found = self._asked("POST", "/v1/oauth/introspect", token, form)
            if not found.get("active") or found.get("role") != "device":
                raise UntoldError("the token is not one user's own", hint="name the user")
            self._own = {token: str(found["sub"])}
        return self._own[token]

    def get(self, path: str, user: str | None, **asked: str | int | None) -> dict[str, Any]:
        """What the gateway says of a user at a path below the user's own. Blocks. UntoldError."""
        rest = urlencode({name: value for name, value in asked.items() if value is not None})
        place = f"/v1/users/{self.user(user)}/{path}"
        return self._asked("GET", f"{place}?{rest}" if rest else place, self._token())

    def _asked(self, method: str, path: str, token: str, form: bytes | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = self._web.ask(CloudRequest(method=method, url=f"{self._url}{path}", headers=headers, body=form))
        if answer.status == 0:
            said, hint = _FAULTS.get(answer.fault, (f"there was no answer: {answer.fault}", ""))
            raise UntoldError(said, hint=hint)
        told = _object(answer.body)
        if answer.status != 200 or told is None:
            raise _refused(answer.status, told or {})
        return told

    def _token(self) -> str:
        token = read_private(self._token_file).decode("ascii", "replace").strip()
        if not token or not _TOKEN_LETTERS.issuperset(token):
            raise ConfigError(
                f"there is no token in {self._token_file}",
                hint="write one into it: healthsync device token USER DEVICE",
            )
        return token


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def _refused(status: int, problem: Mapping[str, Any]) -> UntoldError:
    """The gateway's own words."""
    said = problem.get("detail") or problem.get("title") or "the gateway gave no answer that can be read"
    hint = problem.get("hint") or ""
    if status == 401:
        hint = hint or "the token is over or revoked: write a new one to its file"
    if status == 404:
        hint = hint or "there is no such user, or the token is not for that user's data"
    return UntoldError(f"{status} {problem.get('reason', 'no_answer')}: {said}", hint=str(hint))
