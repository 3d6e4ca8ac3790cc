"""WebSocket frames as they stream in: against the frames of ``websockets``, in every cut and every portion of work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.frames import Opcode as Theirs

from healthsync_mqtt.broker.embedded.frames import Frames, Opcode, close_frame, frame


def theirs(data: bytes, opcode: Theirs = Theirs.BINARY, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True)


def take(frames: Frames, data: bytes, *, cut: int = 1 << 30, work: int = 1 << 30) -> tuple[bytes, bytes, int, bool]:
    payload = reply = b""
    cost = 0
    over = False
    for start in range(0, len(data), cut):
        piece = memoryview(data)[start : start + cut]
        while piece and not over:
            taken, held = frames.take(piece, work)
            assert taken > 0
            piece = piece[taken:]
            payload += held.payload
            reply += held.reply
            cost += held.cost
            over = held.over
    return payload, reply, cost, over


MESSAGES = st.lists(
    st.one_of(
        st.binary(max_size=300).map(lambda data: (theirs(data), data, b"")),
        st.binary(max_size=125).map(lambda data: (theirs(data, Theirs.PING), b"", frame(Opcode.PONG, data))),
        st.binary(max_size=125).map(lambda data: (theirs(data, Theirs.PONG), b"", b"")),
        st.tuples(st.binary(max_size=50), st.binary(max_size=50)).map(
            lambda two: (
                theirs(two[0], fin=False) + theirs(b"", Theirs.PING) + theirs(two[1], Theirs.CONT),
                b"".join(two),
                frame(Opcode.PONG, b""),
            )
        ),
    ),
    max_size=8,
)


@given(MESSAGES, st.integers(1, 60), st.integers(1, 100))
def test_every_cut_and_every_portion_of_work(messages: list[tuple[bytes, bytes, bytes]], cut: int, work: int) -> None:
    data = b"".join(each[0] for each in messages)
    payload, reply, _, over = take(Frames(1000), data, cut=cut, work=work)
    assert payload == b"".join(each[1] for each in messages)
    assert reply == b"".join(each[2] for each in messages)
    assert not over


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_our_frames_are_theirs(size: int) -> None:
    assert frame(Opcode.BINARY, bytes(size)) == Frame(Theirs.BINARY, bytes(size)).serialize(mask=False)
    assert take(Frames(1 << 20), theirs(bytes(size)), cut=997)[0] == bytes(size)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (theirs(b"x", Theirs.TEXT), 1003),
        (theirs(b"x", Theirs.CONT), 1002),
        (theirs(b"x", fin=False) + theirs(b"y"), 1002),
        (theirs(b"x" * 1001), 1009),
        (theirs(b"x" * 600, fin=False) + theirs(b"x" * 401, Theirs.CONT), 1009),
        (Frame(Theirs.BINARY, b"x").serialize(mask=False), 1002),
        (b"\xc2\x81\0\0\0\0x", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x09\x80\0\0\0\0", 1002),
        (b"\x89\xfe\x00\x7e\0\0\0\0", 1002),
    ],
    ids=[
        "text", "stray", "interleaved", "big", "big-in-pieces", "unmasked", "reserved-bits", "unknown",
        "control-in-pieces", "long-control",
    ],
)  # fmt: skip
def test_whoever_breaks_the_protocol_is_told_the_code_and_heard_no_more(data: bytes, code: int) -> None:
    for cut in (1, 1 << 20):
        payload, reply, _, over = take(Frames(1000), theirs(b"before") + data + theirs(b"behind"), cut=cut)
        assert over
        assert payload.startswith(b"before")
        assert b"behind" not in payload
        assert reply[:4] == b"\x88" + reply[1:2] + code.to_bytes(2, "big")


def test_a_close_is_answered_in_kind() -> None:
    data = theirs(b"last") + theirs(b"\x03\xe8bye", Theirs.CLOSE)
    assert take(Frames(1000), data) == (b"last", frame(Opcode.CLOSE, b"\x03\xe8"), take(Frames(1000), data)[2], True)
    assert close_frame(1000) == Frame(Theirs.CLOSE, b"\x03\xe8").serialize(mask=False)
    assert take(Frames(1000), theirs(b"", Theirs.CLOSE))[1] == b"\x88\x00"


def test_empty_frames_are_work() -> None:
    frames = Frames(1000)
    data = memoryview(theirs(b"") * 1000)
    taken, held = frames.take(data, 100)
    assert taken < 200
    assert 100 <= held.cost < 120
    assert take(Frames(1000), bytes(data))[2] > 5 * take(Frames(10_000), theirs(bytes(6000)))[2]
