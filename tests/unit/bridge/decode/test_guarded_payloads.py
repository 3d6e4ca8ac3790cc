"""What a refused payload may name is looked for once, where it is decoded; consent asks for what was found."""

import gzip
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.decode import delivery
from bridge.decode.delivery import MOST_PASSES, QUICK_IF_BAD, decode, decode_if_quick
from bridge.decode.guarded_types import MOST_PLAIN, MOST_UNPACKED, STRETCH, named_in
from healthsync_mqtt.identity.consent.decisions import in_force
from healthsync_mqtt.model.catalogue import CATALOGUE, GUARDED
from tests.support.consent import agreeing, grant
from tests.unit.bridge.decode.examples import NOW_US, ORIGIN

EVERY_NAME = [(name, of) for of in sorted(GUARDED) for name in (of, *CATALOGUE[of].aliases)]


def named(raw: bytes) -> frozenset[str]:
    return named_in(raw, lambda: None)


class Untouched(bytes):
    """Bytes that nobody looks into."""

    def _refuse(self, *_: object) -> bool:
        raise AssertionError("the bytes were looked into")

    lower = startswith = count = find = _refuse  # type: ignore[assignment]
    __contains__ = _refuse
    __getitem__ = _refuse  # type: ignore[assignment]


def test_consent_is_asked_without_a_look_at_the_bytes() -> None:
    found = decode(b"no JSON " * 100, ORIGIN, NOW_US)
    found = found._replace(rejections=[each._replace(raw=Untouched(each.raw)) for each in found.rejections])
    gate = agreeing("alice")
    assert gate.screen(found, "alice", NOW_US) is found
    gate.replace(in_force(grant("alice") + grant("alice", ["menstruation"])))
    assert gate.screen(found, "alice", NOW_US) is found, "asked again, because consent has changed"


def test_what_nobody_has_looked_through_may_name_any() -> None:
    found = decode(b"no JSON", ORIGIN, NOW_US)
    unseen = found._replace(rejections=[each._replace(guarded=None) for each in found.rejections])
    assert [each.raw for each in agreeing("alice").screen(found, "alice", NOW_US).rejections] == [b"no JSON"]
    assert [each.raw for each in agreeing("alice").screen(unseen, "alice", NOW_US).rejections] == [b""]


@pytest.mark.parametrize(("name", "of"), EVERY_NAME)
def test_each_name_is_found_in_any_case_and_across_every_end_of_a_stretch(name: str, of: str) -> None:
    word = name.upper().encode()
    for at in (0, *range(STRETCH - len(word) - 1, STRETCH + 2), 2 * STRETCH - 1, 3 * STRETCH - len(word)):
        raw = (b"-" * at + word).ljust(3 * STRETCH, b"-")
        assert of in named(raw), at


@given(st.lists(st.sampled_from(EVERY_NAME), max_size=4), st.integers(0, 3))
def test_what_is_found_is_what_is_there(names: list[tuple[str, str]], stretches: int) -> None:
    filling = b"-" * (STRETCH // 2)
    raw = filling.join([b"-" * (stretches * STRETCH), *(name.encode() for name, _ in names)])
    found = named(raw)
    assert {of for _, of in names} <= found
    text = raw.decode()
    assert all(any(name in text for name in (of, *CATALOGUE[of].aliases)) for of in found)


@pytest.mark.parametrize("raw", [
    b'{"type":"\\u006denstruation"}', b"-" * STRETCH + b"\\u0041", b"-" * (STRETCH - 1) + b"\\u0041",
    b"-" * (MOST_PLAIN + 1), gzip.compress(b"-" * (MOST_UNPACKED + 1)), gzip.compress(b"-")[:5] + b"damaged" * 4,
])  # fmt: skip
def test_what_is_escaped_or_cannot_be_looked_through_may_name_any(raw: bytes) -> None:
    assert named(raw) == GUARDED


def test_a_long_payload_is_looked_through_once_and_lets_others_in() -> None:
    raw = b"no" + b"m" * (16 * STRETCH - 2)
    pauses: list[None] = []
    got = decode(raw, ORIGIN, NOW_US, pause=lambda: pauses.append(None))
    assert [each.guarded for each in got.rejections] == [frozenset()]
    assert len(pauses) >= 15
    assert got.cost <= MOST_PASSES * len(raw)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [100, QUICK_IF_BAD, QUICK_IF_BAD + 1, 100_000, 1_000_000])
def test_little_is_looked_through_on_the_event_loop(monkeypatch: pytest.MonkeyPatch, size: int, packed: bool) -> None:
    looked: list[int] = []
    monkeypatch.setattr(delivery, "named_in", lambda raw, _: looked.append(len(raw)) or frozenset())
    bad = b"[" + bytes(Random(size).choices(b"mnopqrst", k=size - 1))
    decoded = decode_if_quick(gzip.compress(bad) if packed else bad, ORIGIN, NOW_US)
    assert (decoded is None) is (size > QUICK_IF_BAD)
    assert sum(looked) <= QUICK_IF_BAD
