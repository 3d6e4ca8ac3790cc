"""Calls and answers between gateway and bridge come through as they were, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.mqtt.gateway_calls import (
    CALL_BYTES,
    GatewayCall,
    encode_answer,
    encode_call,
    read_answer,
    read_call,
)
from healthsync_mqtt.mqtt.links.port import HEADER, Answer
from healthsync_mqtt.mqtt.replies import Said
from healthsync_mqtt.topics.grammar import ID_MAX, TOPIC_MAX_BYTES

MARKS = st.text("abcXYZ019_-", min_size=1, max_size=ID_MAX)
TEXTS = st.text(max_size=20)


@given(MARKS, st.text(max_size=60), st.binary(max_size=200), st.text("0123456789abcdef-", max_size=55))
def test_what_a_call_carries_comes_through_whatever_its_bytes_are(
    mark: str, topic: str, payload: bytes, trace: str
) -> None:
    call = GatewayCall(mark, topic, payload, trace)
    assert read_call(encode_call(call)) == call


@given(MARKS, st.integers(0, 255), TEXTS, st.lists(st.tuples(TEXTS, TEXTS), max_size=5).map(tuple))
def test_what_an_answer_says_comes_through(mark: str, code: int, why: str, said: tuple[tuple[str, str], ...]) -> None:
    assert read_answer(encode_answer(mark, Said(code, why, said))) == (mark, Answer(code, said, why))


def test_the_longest_head_is_within_what_a_gateway_keeps_free() -> None:
    call = GatewayCall("x" * ID_MAX, "t" * TOPIC_MAX_BYTES, b"", "0" * 55)
    longest_topic_of_calls = len("gateway//request") + ID_MAX + TOPIC_MAX_BYTES // 2
    assert len(encode_call(call)) + HEADER + longest_topic_of_calls < CALL_BYTES


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{}",
        b"{}\n[]",
        b'{"call":"a"}\n[]',
        b'{"call":"a b","topic":"t"}\n[]',
        b'{"call":"a","topic":"t","more":1}\n[]',
        b'{"call":"a","topic":"t"}',
        b'{"call":"a","topic":"' + b"t" * 300 + b'"}\n[]',
        b"\xff\n[]",
        b'{"call":"a","topic":"t"' + b" " * CALL_BYTES + b"}\n[]",
    ],
)
def test_what_is_no_call_is_said(data: bytes) -> None:
    with pytest.raises(InputError):
        read_call(data)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"call":7}', b'{"call":"a","said":[["x"]]}', b"\xff"])
def test_what_is_no_answer_is_said(data: bytes) -> None:
    with pytest.raises(InputError):
        read_answer(data)
