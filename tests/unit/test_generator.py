"""The load generator takes the PUBACKs that were to come, in their order, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.mqtt.codec import encode_pubacks, v5
from healthsync_mqtt.mqtt.codec.packets import Property, Puback
from tests.support.generator import Bytes, Packets
from tests.support.workload import packet_id

ABOUT = {Property.USER_PROPERTY: (("stored", "1"), ("epoch", "e" * 150))}


def puback(number: int, reason: int = 0) -> bytes:
    return v5.encode(Puback(number, reason, ABOUT if number % 2 else {}))


@given(st.lists(st.integers(1, 400), max_size=30))
def test_answers_are_counted_wherever_a_read_ends(cuts: list[int]) -> None:
    whole = b"".join(puback(packet_id(index)) for index in range(40))
    taking, at = Packets(), 0
    for cut in [*cuts, len(whole)]:
        counted = taking.take(whole[at : at + cut])
        at = min(len(whole), at + cut)
        assert counted == sum(len(b"".join(map(puback, range(1, n + 1)))) <= at for n in range(1, 41))
    assert at < len(whole) or counted == 40


@pytest.mark.parametrize("wrong", [puback(2), puback(1, 0x99), b"\x50\x02\x00\x01"])
def test_another_answer_is_an_error(wrong: bytes) -> None:
    with pytest.raises(AssertionError):
        Packets().take(wrong)


def test_answers_of_3_1_1_are_compared_as_bytes() -> None:
    taking = Bytes(3)
    assert taking.take(encode_pubacks([1, 2])[:6]) == 1
    assert taking.take(encode_pubacks([2, 3])[2:]) == 3
    with pytest.raises(AssertionError):
        Bytes(3).take(encode_pubacks([2]))
