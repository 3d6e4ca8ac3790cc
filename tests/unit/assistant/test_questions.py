"""What is asked of a gateway for an assistant: for whom, how a refusal is told, and that the token is told nobody."""

import json
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.assistant.questions import GatewayQuestions, UntoldError
from healthsync_mqtt.errors import ConfigError, UsageError

URL, TOKEN = "https://health.example", "aaa.bbb.ccc"


class Gateway:
    """Says what a test tells it to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[CloudRequest] = []
        self.role = "device"
        self.answer = CloudAnswer(status=200, body=b'{"types":[]}')

    def ask(self, request: CloudRequest) -> CloudAnswer:
        self.asked.append(request)
        if request.url.endswith("/v1/oauth/introspect"):
            found = {"active": True, "role": self.role, "sub": "alice"}
            return CloudAnswer(status=200, body=json.dumps(found).encode())
        return self.answer


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    place = tmp_path / "token"
    place.write_text(f"{TOKEN}\n")
    place.chmod(0o600)
    return place


def test_without_a_name_it_is_the_user_whose_device_s_token_it_is(gateway: Gateway, file: Path) -> None:
    asking = GatewayQuestions(URL, file, gateway)
    assert asking.get("types", None, limit=3, cursor=None) == {"types": []}
    asking.get("types", "bob")
    for name in ("../users/bob", "a b", "a%2fb"):
        with pytest.raises(UntoldError):
            asking.get("types", name)
    urls = [each.url.removeprefix(URL) for each in gateway.asked]
    assert urls == ["/v1/oauth/introspect", "/v1/users/alice/types?limit=3", "/v1/users/bob/types"]
    assert {each.headers["Authorization"] for each in gateway.asked} == {f"Bearer {TOKEN}"}
    asking.get("types", None)
    assert len(gateway.asked) == 4  # whose token it is was asked once
    file.write_text("ddd.eee.fff")
    asking.get("types", None)
    assert [each.headers["Authorization"] for each in gateway.asked[4:]] == ["Bearer ddd.eee.fff"] * 2


def test_a_token_of_several_users_needs_a_name(gateway: Gateway, file: Path) -> None:
    gateway.role = "subscriber"
    with pytest.raises(UntoldError) as said:
        GatewayQuestions(URL, file, gateway).get("types", None)
    assert said.value.hint == "name the user"


@pytest.mark.parametrize(
    ("answer", "words", "hint"),
    [
        (
            CloudAnswer(status=400, body=b'{"reason":"bad_time","detail":"no time","hint":"so"}'),
            "no time",
            "so",
        ),
        (CloudAnswer(status=404, body=b'{"reason":"not_found","title":"Not Found"}'), "404 not_found", "no such user"),
        (CloudAnswer(status=401, body=b'{"reason":"token_invalid","detail":"no"}'), "401 token_invalid", "new one"),
        (CloudAnswer(status=302, body=b""), "302", ""),
        (CloudAnswer(status=200, body=b"<html>"), "gave no answer that can be read", ""),
        (CloudAnswer(status=0, fault="too_large"), "too long", "fewer"),
        (CloudAnswer(status=0, fault="tls"), "certificate", "--ca-file"),
        (CloudAnswer(status=0, fault="unreachable"), "cannot be reached", "healthsync up"),
        (CloudAnswer(status=0, fault="timeout"), "does not answer", "later"),
    ],
)
def test_a_refusal_is_told_in_the_gateway_s_words(
    gateway: Gateway, file: Path, answer: CloudAnswer, words: str, hint: str
) -> None:
    gateway.answer = answer
    with pytest.raises(UntoldError) as said:
        GatewayQuestions(URL, file, gateway).get("types", "alice")
    assert words in str(said.value)
    assert hint in said.value.hint
    assert TOKEN not in f"{said.value} {said.value.hint}"


@pytest.mark.parametrize("url", ["http://health.example", "health.example", "ftp://a", f"{URL}/v1", "https://u:p@host"])
def test_a_token_goes_to_no_such_address(file: Path, url: str) -> None:
    with pytest.raises(UsageError):
        GatewayQuestions.of(url, file, None)


@pytest.mark.parametrize("content", ["", "two words", "\x00", "a\nb"])
def test_a_file_without_a_token_is_said_before_anything_is_asked(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(ConfigError) as said:
        GatewayQuestions.of(URL, file, None)
    assert "healthsync device token" in said.value.hint


def test_a_file_that_others_can_read_is_none(file: Path) -> None:
    file.chmod(0o644)
    with pytest.raises(ConfigError):
        GatewayQuestions.of(URL, file, None)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_that_is_none(file: Path, tmp_path: Path, content: Any) -> None:
    ca = tmp_path / "ca.crt"
    if content is not None:
        ca.write_text(content)
    with pytest.raises(ConfigError) as said:
        GatewayQuestions.of(URL, file, ca)
    assert "ca.crt" in str(said.value)
