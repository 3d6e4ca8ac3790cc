"""Users let adapters in: what they were asked for, what of it is of use, and who comes back to which page."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from healthsync_mqtt.adapters.authorization import Callback, finish, invite
from healthsync_mqtt.adapters.capability import AuthMethod
from healthsync_mqtt.adapters.catalogue import SHIPPED, shipped
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.errors import ConflictError, InputError, UnavailableError
from tests.support.clouds import CLOUDS
from tests.support.patience import PATIENCE_S
from tests.unit.adapters.test_fetch import Rig

BACK = "http://127.0.0.1:9/callback"
ASKED = [name for name in SHIPPED if shipped(name).cloud is not None]


def agreed(here: Rig, answer: dict[str, Any], **said: str) -> Any:
    """What comes of an answer of tokens, after a redirect that says so much more."""
    invitation = invite(here.book, here.ready, "ann", BACK, here.now_us)
    back = here.cloud.agree(invitation.url) + "".join(f"&{key}={value}" for key, value in said.items())

    class Web:
        def ask(self, _request: CloudRequest) -> CloudAnswer:
            return CloudAnswer(status=200, body=json.dumps(answer).encode())

    return finish(here.book, Web(), lambda _: here.ready, back, here.now_us)


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_for_is_what_the_record_says_and_pkce_where_there_is_some(
    rig: Callable[..., Rig], name: str
) -> None:
    """A code is worth nothing without the verifier of PKCE: the scripted provider compares them."""
    here = rig(name)
    query = parse_qs(urlsplit(invite(here.book, here.ready, "ann", BACK, here.now_us).url).query)
    capability = shipped(name).capability
    separator = here.ready.cloud.tokens.separator
    assert query.get("scope", [""])[0].split(separator) == list(capability.scopes or [""])
    assert ("code_challenge" in query) == (capability.auth is AuthMethod.oauth2_pkce) == CLOUDS[name].pkce
    assert query.get("code_challenge_method", ["S256"]) == ["S256"]
    assert here.link().provider == name


def test_a_link_that_would_work_for_an_hour_is_refused_with_the_reason(rig: Callable[..., Rig]) -> None:
    here = rig("whoop")
    with pytest.raises(InputError, match="no refresh token") as refused:
        agreed(here, {"access_token": "a", "expires_in": 3_600, "scope": "read:recovery read:sleep"})
    assert "offline" in refused.value.hint
    assert here.book.links() == []


def test_a_scope_without_which_nothing_is_fetched_is_wanted_when_the_link_is_made(rig: Callable[..., Rig]) -> None:
    """Strava says what was agreed to in the redirect, not beside the tokens."""
    here = rig("strava")
    tokens = {"access_token": "a", "refresh_token": "r", "expires_in": 21_600, "athlete": {"id": 1}}
    with pytest.raises(InputError, match="activities were not agreed to"):
        agreed(here, tokens, scope="read")
    assert here.book.links() == []
    assert agreed(here, tokens, scope="read,activity:read_all").scopes == "read,activity:read_all"


def test_a_code_that_is_no_good_any_more_says_to_begin_again(rig: Callable[..., Rig]) -> None:
    here = rig("withings")
    with pytest.raises(UnavailableError) as refused:
        agreed(here, {"status": 503, "body": {}, "error": "Invalid Params: invalid code"})
    assert "adapter link" in refused.value.hint


def test_a_link_of_a_session_is_ended_by_its_browser_alone(rig: Callable[..., Rig]) -> None:
    here = rig("oura")

    def back(browser: str) -> Any:
        invitation = invite(here.book, here.ready, "ann", BACK, here.now_us, browser="hers")
        where = here.cloud.agree(invitation.url)
        return finish(here.book, here.cloud, lambda _: here.ready, where, here.now_us, browser=browser)

    for stranger in ("", "another"):
        with pytest.raises(ConflictError, match="another browser"):
            back(stranger)
    assert here.book.links() == []
    assert back("hers").user == "ann"


def test_the_page_on_this_machine_takes_the_answer_that_was_asked_for_and_no_other() -> None:
    callback = Callback()
    took: list[str] = []
    waiting = threading.Thread(target=lambda: took.append(callback.wait("mine", PATIENCE_S)))
    waiting.start()
    for other in ("?state=other&code=1", "?code=1", "/x?state=mine"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(callback.url + other, timeout=PATIENCE_S)
        assert refused.value.code == 404
        refused.value.close()
    with urllib.request.urlopen(f"{callback.url}?state=mine&code=c", timeout=PATIENCE_S) as page:
        assert (page.status, page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == (
            200, "no-store", "no-referrer",
        )  # fmt: skip
    waiting.join(PATIENCE_S)
    callback.close()
    assert took == ["/callback?state=mine&code=c"]


def test_who_does_not_come_in_time_is_told_how_to_begin_again() -> None:
    callback = Callback()
    with pytest.raises(UnavailableError, match="nobody agreed in time"):
        callback.wait("mine", 0.01)
    with pytest.raises(UnavailableError, match="cannot listen"):
        Callback(port=int(urlsplit(callback.url).port or 0))
    callback.close()
