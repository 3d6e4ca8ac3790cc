"""A provider's API as a table: where a user lets us in, what is asked for in which windows, what its answers mean."""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate, parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import jiter

from healthsync_mqtt.adapters.notices import CloudNotices, RecordQuestion, json_request
from healthsync_mqtt.adapters.revocation_endpoints import Access, Leave
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.model.times import iso

_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_LONGEST_WAIT_S: Final = 86_400.0
_NO_CLOCK_BEFORE: Final = 1_735_689_600
"""2025: a clock that shows an earlier time was never set."""


class CloudFault(StrEnum):
    """What is wrong with an answer that has no data."""

    #: nothing is known: the same is asked again later
    retry = "retry"
    #: too much was asked
    rate_limited = "rate_limited"
    #: the access token is not taken
    unauthorised = "unauthorised"
    #: this kind of data was not agreed to; the others may be
    not_granted = "not_granted"
    #: there is no such thing
    gone = "gone"
    #: the request is wrong, or the app is: asking again does not help
    ours = "ours"
    #: the user has to do something at the provider; the tokens are good
    user = "user"


class Failed(NamedTuple):
    """Why an answer has no data, how long to wait, and what people should know."""

    fault: CloudFault
    wait_s: float = 0.0
    hint: str = ""


class Asked(NamedTuple):
    """One time of asking: a window in seconds since 1970, the page (empty: the first), how many pages came before."""

    start: int
    end: int
    page: str = ""
    number: int = 0


Question = tuple[str, Mapping[str, str], Mapping[str, Any] | None]
"""Path, query, and a form where it is sent as one, or a document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEndpoint:
    """One kind of answer: how it is asked for, and where its next page is.

    ``question`` gives path, query and form of a window and page; ``following`` the next page of an answer, "" where
    there is none. ``slice_s`` is the longest window that is asked for at once. ``by_change``: the window is of the time
    of change and has no end, so that the history comes with the first question, and what is revised later by itself.
    ``each``: an answer only says which records there are; each is asked for by itself, again when what is said of it
    has changed. ``as_document``: the form is sent as JSON. ``requested``: what is asked for comes as notices, so that
    each window of history is asked for once and nothing is polled.
    """

    kind: str
    question: Callable[[Asked], Question]
    following: Callable[[Any, Asked], str] = lambda _document, _asked: ""
    slice_s: int = 30 * 86_400
    by_change: bool = False
    each: Callable[[Any], Iterable[RecordQuestion]] | None = None
    requested: bool = False
    as_document: bool = False


def token_at(key: str) -> Callable[[Any, Asked], str]:
    """``following`` of answers that say the next page's token under a key; "" where they say none."""

    def following(document: Any, _asked: Asked) -> str:
        found = document.get(key) if isinstance(document, dict) else None
        return found if isinstance(found, str) else ""

    return following


def utc_time(seconds: int) -> str:
    """Seconds since 1970 as RFC 3339."""
    return iso(seconds * 1_000_000)[:19] + "Z"


def utc_date(seconds: int) -> str:
    """The date in UTC of seconds since 1970."""
    return iso(seconds * 1_000_000)[:10]


Judge = Callable[[CloudAnswer, Any], Failed | None]


def judged(answer: CloudAnswer, document: Any) -> Failed | None:
    """What HTTP itself says of an answer; None: it has data."""
    status = answer.status
    if status in {200, 204}:
        return None if status == 204 or document is not None else Failed(CloudFault.retry)
    if status == 401:
        return Failed(CloudFault.unauthorised)
    if status == 403:
        return Failed(CloudFault.not_granted)
    if status == 404:
        return Failed(CloudFault.gone)
    if status == 429:
        return Failed(CloudFault.rate_limited, wait_of(answer))
    if 400 <= status < 500:
        return Failed(CloudFault.ours, hint=f"the provider refused the request with {status}")
    return Failed(CloudFault.retry)


def wait_of(answer: CloudAnswer) -> float:
    """The seconds that an answer asks to wait; 0 where it says nothing: then each wait is longer than the one before.

    A time of day is one of the provider's clock, whatever ours shows.
    """
    for name in ("retry-after", "x-ratelimit-reset"):
        said = answer.headers.get(name, "")
        if said.isascii() and said.isdigit():
            return min(float(said), _LONGEST_WAIT_S)
    until, now = _seconds_of(answer.headers.get("retry-after", "")), clock_of(answer)
    if until is None or now is None:
        return 0.0
    return float(min(max(until - now, 0), _LONGEST_WAIT_S))


def clock_of(answer: CloudAnswer) -> int | None:
    """What the provider's clock showed, in seconds since 1970; None where it does not say, or was never set."""
    found = _seconds_of(answer.headers.get("date", ""))
    return None if found is None or found < _NO_CLOCK_BEFORE else found


def dated(answer: CloudAnswer, now_us: int) -> CloudAnswer:
    """The answer with when it came, where it does not say what time it is."""
    if clock_of(answer) is not None:
        return answer
    return replace(answer, headers={**answer.headers, "date": formatdate(now_us / 1e6, usegmt=True)})


def _seconds_of(said: str) -> int | None:
    """A date as HTTP writes it."""
    try:
        return int(parsedate_to_datetime(said).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


def document_of(answer: CloudAnswer) -> Any:
    """The JSON of an answer; None where it is none, a portal's page or half of one."""
    try:
        return jiter.from_json(answer.body, allow_inf_nan=False)
    except ValueError:
        return None


class Tokens(NamedTuple):
    """What lets us in, and until when (microseconds since 1970).

    ``until_us`` is when the user has to agree again, where the provider says; 0: it does not.
    """

    access: str
    refresh: str
    expires_us: int
    scopes: str = ""
    account: str = ""
    until_us: int = 0


class TokenRefused(NamedTuple):
    """No tokens. ``dead``: the user has to let us in again, as far as this answer goes."""

    dead: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenManners:
    """How a provider's token endpoint differs from the rest.

    ``form``: fields of every request; ``refresh_form``: of a refresh. ``basic``: the client says who it is in a header.
    ``inside``: the key under which the tokens lie. ``account``: the path of the user's id, from the top. ``dead``: the
    error words that say that a refresh token is no more.
    """

    form: Mapping[str, str] | None = None
    refresh_form: Mapping[str, str] | None = None
    basic: bool = False
    inside: str = ""
    account: tuple[str, ...] = ()
    dead: frozenset[str] = frozenset({"invalid_grant", "invalid_token"})
    separator: str = " "
    extra: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """The whole of one provider's API."""

    base_url: str
    auth_url: str
    token_url: str
    endpoints: tuple[CloudEndpoint, ...]
    tokens: TokenManners = TokenManners()
    judge: Judge = judged
    #: where the user's id at the provider is said, and under which key, where the tokens do not say it
    account: tuple[str, str] | None = None
    #: where the zone of the user's account is said, and under which key: of days that are a date alone
    zone: tuple[str, str] | None = None
    #: what makes a user of the app's of who has agreed, before anything can be asked; once is enough
    enrol: Callable[[str, str, str], CloudRequest] | None = None
    #: how it tells us of news; nothing: it does not
    notices: CloudNotices | None = None
    #: how it is told that our access is over; nothing: it has no call for that
    leave: Leave | None = None

    def request(self, endpoint: CloudEndpoint, asked: Asked, access: str) -> CloudRequest:
        """One question with the bearer's token."""
        path, query, form = endpoint.question(asked)
        url = self.base_url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}
        if form is None:
            return CloudRequest(method="GET", url=url, headers=headers)
        if endpoint.as_document:
            return json_request("POST", url, headers, form)
        return CloudRequest(method="POST", url=url, headers=headers | _FORM, body=urlencode(form).encode())

    def access(self, client: "CloudClient", tokens: "Tokens", now_us: int) -> Access:
        """What is given up with these tokens."""
        own = (client.id, client.secret)
        return Access(self.base_url, self.token_url, *own, tokens.access, tokens.account, now_us)


class CloudClient(NamedTuple):
    """Who we are at a provider."""

    id: str
    secret: str


def authorize_url(
    cloud: Cloud, client: CloudClient, scopes: tuple[str, ...], *, redirect: str, state: str, challenge: str
) -> str:
    """Where the user agrees. ``challenge`` is that of PKCE, "" where the provider has none."""
    manners = cloud.tokens
    query = {"response_type": "code", "client_id": client.id, "redirect_uri": redirect, "state": state}
    if scopes:
        query["scope"] = manners.separator.join(scopes)
    if challenge:
        query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    query |= manners.extra or {}
    return f"{cloud.auth_url}{'&' if '?' in cloud.auth_url else '?'}{urlencode(query)}"


def token_request(cloud: Cloud, client: CloudClient, grant: Mapping[str, str]) -> CloudRequest:
    """The request for tokens of a code (``code``, ``redirect_uri``, ``code_verifier``) or a ``refresh_token``."""
    manners = cloud.tokens
    refreshing = "refresh_token" in grant
    form = {"grant_type": "refresh_token" if refreshing else "authorization_code", **grant, **(manners.form or {})}
    if refreshing:
        form |= manners.refresh_form or {}
    headers = dict(_FORM)
    if manners.basic:
        both = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
        headers["Authorization"] = f"Basic {both}"
    else:
        form |= {"client_id": client.id, "client_secret": client.secret}
    return CloudRequest(method="POST", url=cloud.token_url, headers=headers, body=urlencode(form).encode())


def tokens_of(cloud: Cloud, answer: CloudAnswer, now_us: int, old: Tokens | None = None) -> Tokens | TokenRefused:
    """The tokens in an answer; of a provider that gives no new refresh token the old one stays."""
    manners, document = cloud.tokens, document_of(answer)
    if not isinstance(document, dict):
        return TokenRefused(False, f"no answer that can be read (HTTP {answer.status}{_fault(answer)})")
    inner = document.get(manners.inside) if manners.inside else document
    access = inner.get("access_token") if isinstance(inner, dict) else None
    if answer.status != 200 or not isinstance(access, str) or not isinstance(inner, dict):
        return _refused(manners, answer, document)
    refresh = inner.get("refresh_token")
    lasts = inner.get("expires_in")
    lasts_s = lasts if type(lasts) is int and 0 < lasts < 2**40 else 3_600
    found: Any = document
    for key in manners.account:
        found = found.get(key) if isinstance(found, dict) else None
    scopes = inner.get("scope")
    ends = inner.get("refresh_token_expires_in")
    until_us = now_us + ends * 1_000_000 if type(ends) is int and 0 < ends < 2**40 else (old.until_us if old else 0)
    return Tokens(
        access,
        refresh if isinstance(refresh, str) and refresh else (old.refresh if old else ""),
        now_us + lasts_s * 1_000_000,
        scopes if isinstance(scopes, str) else (old.scopes if old else ""),
        str(found) if type(found) in {int, str} else (old.account if old else ""),
        until_us,
    )


def _refused(manners: TokenManners, answer: CloudAnswer, document: Mapping[str, Any]) -> TokenRefused:
    status = document.get("status")
    if answer.status == 200 and type(status) is int:
        # Withings: the status is in the body, whatever words are beside it, and 503 are invalid parameters there.
        return TokenRefused(status in {100, 101, 102, 200, 401, 503}, f"status {status}")
    word = document.get("error")
    if isinstance(word, str):
        return TokenRefused(word in manners.dead and 400 <= answer.status < 500, word[:64])
    errors = document.get("errors")
    if answer.status == 400 and isinstance(errors, list):
        fields = {str(each.get("field")) for each in errors if isinstance(each, dict)}
        return TokenRefused("refresh_token" in fields, ", ".join(sorted(fields))[:64])
    return TokenRefused(False, f"HTTP {answer.status}")


def _fault(answer: CloudAnswer) -> str:
    return f", {answer.fault}" if answer.fault else ""
