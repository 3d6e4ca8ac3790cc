"""Taking a payload apart: the patterns find what stepping through byte by byte finds, on every Python."""

import random
import re
from pathlib import Path

import pytest

from bridge.decode import recover
from bridge.decode.recover import LostError, TooManyError, nests_deeper, take_apart

LEVELS = 3
PIECES = (b"[", b"]", b"{", b"}", b",", b"1", b'"', b'"a"', b"\\", b'\\"', b'"\\"', b" ", b'{"a":[1,"]"]}', b"[[[[")


def texts_gone(payload: bytes) -> bytes | None:
    """The payload with each text as one ``t``; None when a text does not close."""
    out, at = bytearray(), 0
    while at < len(payload):
        if payload[at : at + 1] != b'"':
            out += payload[at : at + 1]
            at += 1
            continue
        at += 1
        while payload[at : at + 1] != b'"':
            if at >= len(payload):
                return None
            at += 2 if payload[at : at + 1] == b"\\" else 1
        at += 1
        out += b"t"
    return bytes(out)


def deepest(text: bytes) -> int:
    depth = most = 0
    for mark in text:
        depth += (mark in b"[{") - (mark in b"]}")
        most = max(most, depth)
    return most


@pytest.mark.parametrize("seed", range(20))
def test_depth_is_what_stepping_finds(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(300):
        payload = b"".join(chance.choices(PIECES, k=chance.randrange(12)))
        plain = texts_gone(payload)
        if plain is not None:
            assert nests_deeper(payload, LEVELS) == (deepest(plain) > LEVELS), payload


@pytest.mark.parametrize("seed", range(20))
def test_parts_are_found_whatever_they_are(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(200):
        parts = [_value(chance, chance.randrange(7)) for _ in range(chance.randrange(1, 6))]
        found = take_apart(b"[" + b" , ".join(parts) + b"]", LEVELS, 10)
        assert [part.raw for part in found.events] == parts
        for part in found.events:
            plain = texts_gone(part.raw)
            assert plain is not None
            assert part.deep == (deepest(plain) > LEVELS)


def _value(chance: random.Random, levels: int) -> bytes:
    if not levels:
        return chance.choice([b"1", b'"a"', b'"\\""', b'"]"', b"NaN", b'"\\\\"'])
    opening, closing = chance.choice([(b"[", b"]"), (b"{", b"}")])
    inner = b",".join(_value(chance, chance.randrange(levels)) for _ in range(chance.randrange(3)))
    return opening + inner + (b"," if inner else b"") + _value(chance, levels - 1) + closing


@pytest.mark.parametrize("payload", [b'["oops', b"[1,[[[[2]", b"[1}]x", b'["a\\', b"[[[[[[1]]]]]", b"[1 [2]]"])
def test_what_does_not_close_is_lost(payload: bytes) -> None:
    with pytest.raises((LostError, TooManyError)):
        take_apart(payload, LEVELS, 10)


def test_every_repetition_of_alternatives_that_never_gives_back_ends_with_an_empty_one() -> None:
    """Python 3.11.2 keeps what a failed last round had taken; it cannot be tried here on every Python."""
    source = re.sub(r"#.*", "", Path(recover.__file__).read_text())
    assert source.count(")*+") >= 3
    assert source.count(")*+") == source.count("|)*+")
