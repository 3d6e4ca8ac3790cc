"""The log: one line an event, no secrets, no values, nothing a terminal obeys (T49, T61)."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable
from typing import Any

import jwt
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.errors import StoreError, TokenError
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.tokens import TokenIssuer
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.text import escaped
from healthsync_mqtt.telemetry.log import JsonFormatter, configure, get_logger
from healthsync_mqtt.telemetry.outage import Outage
from healthsync_mqtt.telemetry.redaction import redact

CANARY = "hunter2"
log = get_logger("test")


@pytest.fixture
def stream() -> io.StringIO:
    target = io.StringIO()
    configure("debug", "json", stream=target)
    return target


@pytest.fixture
def lines(stream: io.StringIO) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line(lines) -> None:
    log.info("door.connection_refused", reason="bad_token", client_id="alice-watch", attempt=3, secure=True, code=None)
    (line,) = lines()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "test",
        "event": "door.connection_refused",
        "reason": "bad_token",
        "client_id": "alice-watch",
        "attempt": 3,
        "secure": True,
        "code": None,
    }


def test_bound_keys_are_on_every_event(lines) -> None:
    bound = get_logger("test", stage="journal").bind(delivery=7)
    bound.warning("a", extra=1)
    bound.debug("b", delivery=8)
    assert [(line["stage"], line["delivery"]) for line in lines()] == [("journal", 7), ("journal", 8)]


def test_keys_of_the_line_itself_are_not_overwritten(lines) -> None:
    log.info("a", level="x", time="y", event_="z")
    (line,) = lines()
    assert (line["level"], line["level_"], line["time_"]) == ("info", "x", "y")


def test_levels(stream: io.StringIO) -> None:
    configure("warning", "json", stream=stream)
    log.info("quiet")
    log.error("loud")
    assert not log.is_enabled("info")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_auto_is_for_people_on_a_terminal_only(stream: io.StringIO) -> None:
    configure("info", "auto", stream=stream)
    log.info("a")
    stream.isatty = lambda: True  # type: ignore[method-assign]
    configure("info", "auto", stream=stream)
    log.info("door.listening", port=8883, note="two words")
    machine, person = stream.getvalue().splitlines()
    assert json.loads(machine)["event"] == "a"
    assert person.endswith('info    door.listening port=8883 note="two words"')


SECRETS = {
    "jwt": TokenIssuer(Keyring.generate())
    .issue(Principal(role=Role.device, client_id="a-b", user="a", device="b"), lifetime_s=60, now=1e9)
    .token,
    "unsigned": jwt.encode({"sub": CANARY}, None, algorithm="none"),
    "pem": f"-----BEGIN PRIVATE KEY-----\nMC4CAQA{CANARY}\n-----END PRIVATE KEY-----\n",
    "pem_cut": f"-----BEGIN EC PRIVATE KEY-----\nMC4CAQA{CANARY}",
    "bearer": f"Authorization: Bearer {CANARY}",
    "basic": f"basic {CANARY}",
    "base64": "3q2+7wAAAP8B/v8Qa1ZyT9sXkLmN0pQrStUvWxYz1234567890ab==",
    "base64url": "3q2-7wAAAP8B_v8Qa1ZyT9sXkLmN0pQrStUvWxYz1234567890ab",
    "hex": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "same": "A" * 100,
}


@pytest.mark.parametrize("kind", SECRETS)
def test_t49_secrets_are_not_written_wherever_they_stand(lines, stream: io.StringIO, kind: str) -> None:
    secret = SECRETS[kind]
    log.info("a", detail=f"before {secret} after", nested={"list": [secret]}, given=(secret,))
    log.error("b", error=StoreError(f"could not use {secret}"))
    logging.getLogger("somebody").error("saw %s", secret.replace("\n", " "))
    assert CANARY not in stream.getvalue()
    for part in re.findall(r"[A-Za-z0-9+/_-]{20,}", secret):
        assert part not in stream.getvalue()
    assert lines()[0]["detail"].startswith("before ")
    assert len(lines()) == 3


@pytest.mark.parametrize(
    "key",
    ["value", "payload", "password", "token", "secret", "access_token", "client-secret", "PASSWORD", "raw", "body"],
)
def test_t49_keys_that_hold_secrets_or_values_are_hidden(lines, key: str) -> None:
    log.info("a", **{key: CANARY, "deep": {"in": {key: [CANARY, 72]}}})
    (line,) = lines()
    assert line[key] == "[redacted]"
    assert line["deep"] == {"in": {key: "[redacted]"}}


@pytest.mark.parametrize(
    "text",
    [
        "/var/lib/healthsync/data/certificates/server.crt",
        "/tmp/pytest-of-root/pytest-0/test_something_long0/data/events.db",
        "users/alice/devices/a-watch-with-a-long-name-of-it/events",
        "a-device-with-quite-a-long-name-that-people-chose",
        "7f0c1f9e-0f2b-4a52-9c8e-1b2f3a4d5e6f",
        "bearer",
        "alice-watch",
    ],
)
def test_names_and_paths_stay_readable(text: str) -> None:
    assert redact(text) == text


def test_objects_and_bytes_are_named_by_their_kind(lines) -> None:
    class Reading:
        def __repr__(self) -> str:
            return CANARY

    log.info("a", reading=Reading(), data=CANARY.encode(), error_kind=ValueError(CANARY), nan=float("nan"))
    (line,) = lines()
    assert (line["reading"], line["data"], line["error_kind"]) == ("[Reading]", "[7 bytes]", "ValueError")
    assert line["nan"] == "nan"


def test_a_line_is_bounded(stream: io.StringIO) -> None:
    deep: Any = []
    for _ in range(50):
        deep = [deep]
    log.info("a", name="x " * 50_000, many=list(range(10_000)), deep=deep, wide={str(n): n for n in range(9_999)})
    assert len(stream.getvalue()) < 4_000


class Model(pydantic.BaseModel):
    bpm: int


def _pydantic() -> None:
    Model.model_validate({"bpm": CANARY})


def _msgspec() -> None:
    msgspec.json.decode(f'{{"kind": "{CANARY}"}}', type=dict[str, int])


def _builtin() -> None:
    int(CANARY)


def _lookup() -> None:
    {}[CANARY]  # type: ignore[index]


@pytest.mark.parametrize("fail", [_pydantic, _msgspec, _builtin, _lookup])
def test_t49_exceptions_of_others_lose_their_words(lines, stream: io.StringIO, fail: Callable[[], None]) -> None:
    try:
        try:
            fail()
        except Exception as inner:
            raise RuntimeError(CANARY) from inner
    except RuntimeError:
        log.exception("stage.failed", stage="decode")
        logging.getLogger("library").exception("it failed")
    assert CANARY not in stream.getvalue()
    ours, foreign = lines()
    assert ours["error"][0]["type"] == "RuntimeError"
    assert fail.__name__ in str(ours["error"][1]["at"])
    assert foreign["error"] == ours["error"]


def test_our_own_errors_keep_their_words_and_details(lines) -> None:
    log.error("door.refused", error=TokenError("kid names no key of ours"))
    log.error("journal.failed", error=OSError(28, CANARY))
    ours, system = lines()
    assert ours["error"] == [
        {
            "type": "TokenError",
            "message": "the credentials were refused",
            "detail": "kid names no key of ours",
            "at": [],
        }
    ]
    assert system["error"] == [{"type": "OSError", "errno": 28, "at": []}]


async def test_t49_a_failed_task_of_asyncio_does_not_tell_its_exception(lines, stream: io.StringIO) -> None:
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "Task exception was never retrieved", "future": ValueError(CANARY)})
    assert CANARY not in stream.getvalue()
    assert lines()[0]["message"] == "Task exception was never retrieved"


@pytest.mark.parametrize("name", ["amqtt", "amqtt.broker", "transitions.core", "asyncio", "websockets.server", "paho"])
def test_libraries_are_held_at_warning(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).info(CANARY)
    logging.getLogger(name).debug(CANARY)
    assert stream.getvalue() == ""
    logging.getLogger(name).warning("trouble with %s", "this\nand that")
    assert json.loads(stream.getvalue())["message"] == "trouble with this"


def test_a_librarys_wrong_format_string_is_not_our_crash() -> None:
    record = logging.makeLogRecord(
        {"name": "library", "msg": "trouble with %s of %d", "args": ("this",), "levelname": "WARNING"}
    )
    assert json.loads(JsonFormatter().format(record))["message"] == "trouble with %s of %d"


def test_t61_terminal_sequences_are_written_out(stream: io.StringIO) -> None:
    hostile = "\x1b[2J\r\n\x07\x9b31m\u202e\u2066\u2028\ufeff\u200bname\x7f"
    log.info("a", client_id=hostile, nested=[hostile], **{"key\x1b": 1})
    configure("info", "console", stream=stream)
    log.info("a", client_id=hostile, nested=[hostile], **{"key\x1b": 1})
    text = stream.getvalue()
    assert text.count("\n") == 2
    assert all(char == "\n" or 0x20 <= ord(char) < 0x7F for char in text)
    assert "\\x1b[2J" in text


@given(st.text())
def test_t61_no_text_keeps_a_control_character(text: str) -> None:
    encoded = escaped(text)
    assert encoded.isprintable() or not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in encoded)
    assert escaped(encoded) == encoded


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=40) | st.integers() | st.floats() | st.binary(max_size=9)))
def test_every_event_is_one_valid_line(keys: dict[str, Any]) -> None:
    target = io.StringIO()
    configure("debug", "json", stream=target)
    log.bind(**keys).info("a")
    configure("debug", "console", stream=target)
    log.bind(**keys).info("a")
    first, second = target.getvalue().splitlines()
    json.loads(first, parse_constant=pytest.fail)
    assert " info " in second


def test_a_broken_stream_breaks_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    closed = io.StringIO()
    configure("info", "json", stream=closed)
    closed.close()
    log.info("a", note=CANARY)
    logging.getLogger("library").error(CANARY)
    assert CANARY not in "".join(capfd.readouterr())


def test_an_outage_is_told_at_its_start_and_its_end(lines) -> None:
    outage = Outage(log, "sink.connection")
    outage.worked(1.0)
    assert lines() == []
    for second in range(10, 15):
        outage.failed(float(second), reason="refused")
    assert outage.ongoing
    outage.worked(20.5)
    outage.worked(21.0)
    assert not outage.ongoing
    told = [(line["level"], line["event"]) for line in lines() if line["level"] != "debug"]
    assert told == [("warning", "sink.connection_lost"), ("info", "sink.connection_restored")]
    assert lines()[-1]["seconds"] == 10.5
    assert lines()[-1]["failures"] == 5
    outage.failed(30.0)
    assert lines()[-1]["level"] == "warning"
