"""Providers that a test writes: they speak the documented OAuth, paging, errors and limits, and refuse all else.

One engine; a provider is a ``CloudManners`` of it: how tokens look, and which paths have data. ``ScriptedCloud``
is a ``Web`` by itself; ``serving`` puts it on a port of this machine.
"""

import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import math
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from tests.support.loopback import served

CLIENT, SECRET = "client-1", "secret-1"


@dataclass
class CloudManners:
    """What differs: where tokens and pages are, and how a page of records is put."""

    token_path: str
    auth_path: str
    #: path of data: the name of its records, or of several by the form's action
    paths: dict[str, str]
    #: (records of the page, whether there are more, the next page's mark, the question) -> the answer
    page: Callable[[list[Any], str, dict[str, str]], Any]
    mark: str
    tokens: Callable[[dict[str, Any]], Any] = lambda pair: pair
    #: how it says what HTTP would say by a status
    refused: Callable[[int], CloudAnswer] | None = None
    pkce: bool = False
    rotates: bool = True
    refreshes: bool = True
    #: the client says who it is in a header
    basic: bool = False
    #: pages are counted from one, and the last one is empty
    numbered: bool = False
    #: paths of one record each: the name of its records, and the key that the path says
    singles: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: what is asked there is answered so; below a path that ends with a slash, too
    fixed: dict[str, CloudAnswer] = field(default_factory=dict)
    #: where a user's id is said, and the answer
    account: tuple[str, dict[str, Any]] = ("", {})
    #: the request that ends access
    revoke: str = ""


def answer(status: int, document: Any, **headers: str) -> CloudAnswer:
    return CloudAnswer(status=status, headers=headers, body=json.dumps(document).encode())


def _withings_page(records: list[Any], following: str, asked: dict[str, str]) -> Any:
    key = {"getmeas": "measuregrps", "getactivity": "activities"}.get(asked["action"], "series")
    more = {"more": 1, "offset": int(following)} if following else {}
    return {"status": 0, "body": {"updatetime": 1_794_000_000, "timezone": "Europe/Paris", key: records, **more}}


WITHINGS = CloudManners(
    token_path="/v2/oauth2",
    auth_path="/oauth2_user/authorize2",
    paths={
        "/measure getmeas": "measure", "/v2/measure getactivity": "activity", "/v2/measure getworkouts": "workouts",
        "/v2/sleep getsummary": "sleep_summary", "/v2/sleep get": "sleep_detail", "/v2/heart list": "heart_list",
    },
    page=_withings_page,
    mark="offset",
    tokens=lambda pair: {"status": 0, "body": pair | {"userid": 41234567}},
    refused=lambda status: answer(200, {"status": {401: 401, 429: 601, 400: 503}.get(status, 2555), "body": {}}),
)  # fmt: skip
OURA = CloudManners(
    token_path="/oauth/token",
    auth_path="/oauth/authorize",
    paths={
        f"/v2/usercollection/{each}": each
        for each in (
            "sleep", "daily_sleep", "daily_readiness", "daily_activity", "daily_spo2", "daily_cardiovascular_age",
            "vO2_max", "workout", "session", "heartrate",
        )
    },
    page=lambda records, following, _asked: {"data": records, "next_token": following or None},
    mark="next_token",
    revoke="GET /oauth/revoke",
    singles={f"/v2/usercollection/{each}/(.+)": (each, "id") for each in ("sleep", "workout", "daily_sleep")},
    account=("/v2/usercollection/personal_info", {"id": "oura-user-1"}),
)  # fmt: skip
WHOOP = CloudManners(
    token_path="/oauth/oauth2/token",
    auth_path="/oauth/oauth2/auth",
    paths={
        "/developer/v2/activity/sleep": "sleep", "/developer/v2/recovery": "recovery", "/developer/v2/cycle": "cycle",
        "/developer/v2/activity/workout": "workout",
    },
    page=lambda records, following, _asked: {"records": records} | ({"next_token": following} if following else {}),
    mark="nextToken",
    singles={
        "/developer/v2/activity/sleep/(.+)": ("sleep", "id"),
        "/developer/v2/activity/workout/(.+)": ("workout", "id"),
        "/developer/v2/cycle/(.+)/recovery": ("recovery", "cycle_id"),
    },
    account=("/developer/v2/user/profile/basic", {"user_id": 10129}),
    revoke="DELETE /developer/v2/user/access",
)  # fmt: skip
DEXCOM = CloudManners(
    token_path="/v2/oauth2/token",
    auth_path="/v2/oauth2/login",
    paths={f"/v3/users/self/{each}": each for each in ("egvs", "events", "calibrations")},
    page=lambda records, _following, _asked: {"recordType": "egv", "recordVersion": "3.0", "records": records},
    mark="none",
)
GOOGLE = CloudManners(
    token_path="/token",
    auth_path="/o/oauth2/v2/auth",
    paths={},
    page=lambda records, following, _asked: (
        {"dataPoints": records} | ({"nextPageToken": following} if following else {}) if records else {}
    ),
    mark="pageToken",
    pkce=True,
    rotates=False,
    revoke="POST /revoke",
    account=("/v4/users/me/identity", {"healthUserId": "h7"}),
)
STRAVA = CloudManners(
    token_path="/oauth/token",
    auth_path="/oauth/authorize",
    paths={"/api/v3/athlete/activities": "activities"},
    page=lambda records, _following, _asked: records,
    mark="page",
    numbered=True,
    revoke="POST /oauth/deauthorize",
    tokens=lambda pair: pair | {"scope": "read,activity:read_all", "athlete": {"id": 13481599}},
    singles={
        "/api/v3/activities/([0-9]+)": ("details", "id"),
        "/api/v3/activities/([0-9]+)/streams": ("streams", "id"),
    },
)
POLAR = CloudManners(
    token_path="/v2/oauth2/token",
    auth_path="/oauth2/authorization",
    paths={"/v3/users/sleep": "sleep", "/v3/exercises": "exercises", "/v3/users/physical-info": "physical_info"},
    page=lambda records, _following, _asked: records,
    mark="none",
    basic=True,
    rotates=False,
    refreshes=False,
    tokens=lambda pair: pair | {"x_user_id": 61234567},
    fixed={"/v3/users": answer(200, {"polar-user-id": 61234567})},
    singles={"/v3/exercises/(.+)": ("exercises", "id"), "/v3/users/sleep/(.+)": ("sleep", "date")},
    revoke="DELETE /v3/users/61234567",
)
GARMIN = CloudManners(
    token_path="/di-oauth2-service/oauth/token",
    auth_path="/oauth2Confirm",
    paths={},
    page=lambda records, _following, _asked: records,
    mark="none",
    pkce=True,
    fixed={"/wellness-api/rest/backfill/": CloudAnswer(status=202)},
    singles={"/wellness-api/rest/(dailies)": ("called", "kind")},
    revoke="DELETE /wellness-api/rest/user/registration",
    account=("/wellness-api/rest/user/id", {"userId": "g-1"}),
)
CLOUDS = {
    "polar": POLAR,
    "garmin": GARMIN,
    "strava": STRAVA,
    "withings": WITHINGS,
    "oura": OURA,
    "whoop": WHOOP,
    "dexcom": DEXCOM,
    "google_health": GOOGLE,
}


@dataclass
class ScriptedCloud:
    """One provider. ``records`` is what it has, by name; ``faults`` are given before anything else, one a request."""

    manners: CloudManners
    records: dict[str, list[Any]] = field(default_factory=dict)
    faults: list[CloudAnswer] = field(default_factory=list)
    page_size: int = 2
    expires_s: int = 10_800
    revoked: bool = False
    #: what its clock shows, in seconds; None: it says no time
    clock: Callable[[], float] | None = None
    #: when a record began and when it was changed; None: all are in every window
    times: Callable[[Any], tuple[float, float]] | None = None
    #: what was asked: path, and the question
    log: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    refreshes: int = 0
    revocations: int = 0
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _access: set[str] = field(default_factory=set)
    _refresh: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """What a test changes of its provider is its own."""
        path, account = self.manners.account
        self.manners = replace(self.manners, fixed=dict(self.manners.fixed), account=(path, dict(account)))

    def agree(self, url: str) -> str:
        """What a user does on the page: where the browser is sent then."""
        there = urlsplit(url)
        asked = dict(parse_qsl(there.query))
        assert there.path == self.manners.auth_path
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert bool(asked.get("code_challenge")) == self.manners.pkce
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def pair(self) -> dict[str, Any]:
        """New tokens; where they rotate the ones before are dead."""
        number = next(self._numbers)
        access, refresh = f"access-{number}", f"refresh-{number}"
        if self.manners.rotates:
            self._refresh.clear()
            self._access.clear()
        self._access.add(access)
        made = {"access_token": access, "token_type": "bearer", "expires_in": self.expires_s, "scope": "all"}
        if self.manners.refreshes and (self.manners.rotates or not self._refresh):
            self._refresh.add(refresh)
            made["refresh_token"] = refresh
        return made

    def expire(self) -> None:
        """No access token is good any more."""
        self._access.clear()

    def ask(self, request: CloudRequest) -> CloudAnswer:
        """See ``adapters.web.Web``."""
        with self._turn:
            found = self._answered(request)
        if self.clock is None:
            return found
        return replace(found, headers={"date": formatdate(self.clock(), usegmt=True)} | dict(found.headers))

    def _answered(self, request: CloudRequest) -> CloudAnswer:
        there = urlsplit(request.url)
        form = dict(parse_qsl((request.body or b"").decode(), keep_blank_values=True))
        asked = dict(parse_qsl(there.query)) | form
        self.log.append((there.path, asked))
        if there.path == self.manners.token_path and request.method == "POST" and "grant_type" in form:
            return self._granted(form, request.headers.get("Authorization", ""))
        if there.path == self.manners.token_path and form.get("action") == "revoke":
            signed = hmac.digest(SECRET.encode(), f"revoke,{CLIENT},n1".encode(), "sha256").hex()
            assert (form["signature"], form["userid"]) == (signed, "41234567")
            self.revoked = True
            self._access.clear()
            return answer(200, {"status": 0, "body": {}})
        if self.faults:
            return self.faults.pop(0)
        if self.manners.revoke == f"POST {there.path}" and "token" in form:
            self.revoked = True
            self._access.clear()
            return CloudAnswer(status=200, body=b"{}")
        if there.path == "/v2/signature":
            return answer(200, {"status": 0, "body": {"nonce": "n1"}})
        bearer = request.headers.get("Authorization", "") or f"Bearer {asked.get('access_token', '')}"
        if bearer.removeprefix("Bearer ") not in self._access:
            return self._refused(401)
        if self.manners.revoke == f"{request.method} {there.path}":
            self.revoked = True
            self._access.clear()
            self._refresh.clear()
            self.revocations += 1
            return CloudAnswer(status=204)
        name = self.manners.paths.get(f"{there.path} {asked['action']}" if "action" in asked else there.path)
        if name is None and "/dataTypes/" in there.path:
            name = there.path.split("/")[5]
        for prefix, given in self.manners.fixed.items():
            if there.path == prefix or (prefix.endswith("/") and there.path.startswith(prefix)):
                return given
        if there.path == self.manners.account[0]:
            return answer(200, self.manners.account[1])
        for pattern, (of, key) in self.manners.singles.items():
            if single := re.fullmatch(pattern, there.path):
                one = next((each for each in self.records.get(of, []) if str(each[key]) == single[1]), None)
                return answer(404, {"error": "not found"}) if one is None else answer(200, one)
        if name is None:
            return answer(404, {"error": f"there is no {there.path}"})
        found, at = self._within(self.records.get(name, []), asked), int(asked.get(self.manners.mark, 0))
        if self.manners.numbered:
            at = (int(asked.get(self.manners.mark, 1)) - 1) * self.page_size
        size = len(found) or 1 if self.manners.mark == "none" else self.page_size
        following = str(at + size) if at + size < len(found) else ""
        return answer(200, self.manners.page(found[at : at + size], following, asked))

    def _within(self, records: list[Any], asked: dict[str, str]) -> list[Any]:
        """The records that a question is about."""
        if self.times is None:
            return records
        if "lastupdate" in asked:
            return [each for each in records if self.times(each)[1] >= int(asked["lastupdate"])]
        start, end = window_of(asked)
        return [each for each in records if start <= self.times(each)[0] < end]

    def _granted(self, form: dict[str, str], header: str) -> CloudAnswer:
        if self.manners.basic and header == "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode():
            form = form | {"client_id": CLIENT, "client_secret": SECRET}
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return self._refused(400, "invalid_client")
        if form["grant_type"] == "authorization_code":
            begun = self._codes.pop(form.get("code", ""), None)
            if begun is None or begun["redirect_uri"] != form.get("redirect_uri"):
                return self._refused(400, "invalid_grant")
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if self.manners.pkce and base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != begun["code_challenge"]:
                return self._refused(400, "invalid_grant")
            self.revoked = False
            return answer(200, self.manners.tokens(self.pair()))
        if self.revoked or form.get("refresh_token") not in self._refresh:
            return self._refused(400, "invalid_grant")
        self.refreshes += 1
        return answer(200, self.manners.tokens(self.pair()))

    def _refused(self, status: int, word: str = "invalid_token") -> CloudAnswer:
        if self.manners.refused is not None:
            return self.manners.refused(status)
        return answer(status, {"error": word})


def window_of(asked: dict[str, str]) -> tuple[float, float]:
    """The window of a question, however its provider writes it; of dates the last one is in it."""
    for begin, finish in _WINDOWS:
        if begin in asked:
            start, end = _seconds(asked[begin]), _seconds(asked.get(finish, ""))
            return start, end + (86_400 if "T" not in asked[finish] and "-" in asked[finish] else 0)
    bounds = re.findall(r'"(.+?)"', asked.get("filter", ""))
    if bounds:
        return _seconds(bounds[0]), _seconds(bounds[1]) if len(bounds) > 1 else math.inf
    return -math.inf, math.inf


def _seconds(said: str) -> float:
    if said.isdigit():
        return float(said)
    at = datetime.fromisoformat(said)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


_WINDOWS = (
    ("startdate", "enddate"), ("start_date", "end_date"), ("start_datetime", "end_datetime"), ("start", "end"),
    ("startDate", "endDate"), ("after", "before"), ("from", "to"),
)  # fmt: skip


@contextlib.contextmanager
def serving(cloud: ScriptedCloud) -> Iterator[str]:
    """The provider on a port of this machine; its address."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            url = f"http://127.0.0.1{self.path}"
            found = cloud.ask(
                CloudRequest(method=self.command, url=url, headers=dict(self.headers), body=self.rfile.read(length))
            )
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815  # the library's names

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  # the library's name

    with served(Handler) as url:
        yield url
