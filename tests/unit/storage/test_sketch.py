"""A sketch never says "no" of a row that is there, and says it of what is not."""

import gc
import json
import os
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.model.choice import Contents, ValueRange
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.sketch import Gathering, Sketch

numbers = st.one_of(st.integers(-70, 70), st.integers(), st.floats(allow_nan=False), st.booleans())
texts = st.sampled_from(["a", "b", 'x"}', "\\", '"record_id":"', "ü", ',"source":{'])
nested = st.dictionaries(st.sampled_from(["source", "bpm", "x"]), st.one_of(texts, numbers), max_size=2)
values = st.one_of(
    st.dictionaries(st.sampled_from(["bpm", "kg", "x", "source"]), st.one_of(numbers, texts, nested), max_size=3),
    st.builds(lambda samples: {"samples": samples}, st.lists(st.lists(numbers, max_size=3), max_size=4)),
    texts,
)
sources = st.fixed_dictionaries({}, optional=dict.fromkeys(["provider", "record_id", "app", "app_version"], texts))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    said: dict[str, Any] = {}
    if draw(st.booleans()):
        said["value"] = draw(values)
    if draw(st.booleans()):
        said["device"] = {"model": draw(texts)}
    if draw(st.booleans()):
        said["source"] = draw(sources)
    return json.dumps(said, separators=(",", ":"), ensure_ascii=draw(st.booleans())).encode()


rows = st.tuples(
    st.sampled_from(["heart_rate", "weight", "steps", "mood"]),
    st.sampled_from([None, "oura"]),
    st.lists(bodies(), min_size=1, max_size=4),
)
ends = st.one_of(st.integers(-70, 70).map(float), st.floats(allow_nan=False))
asked = st.builds(
    Contents,
    provider=st.one_of(st.none(), texts, st.just("oura")),
    app=st.one_of(st.none(), texts),
    value=st.one_of(
        st.none(),
        st.builds(
            lambda field, one, other: ValueRange(field=field, low=min(one, other), high=max(one, other)),
            st.sampled_from([None, "bpm", "kg", "x"]),
            ends,
            ends,
        ),
    ),
)


@settings(deadline=None, max_examples=int(os.environ.get("HEALTHSYNC_HISTORIES", "150")))
@given(st.lists(rows, min_size=1, max_size=12), st.lists(asked, min_size=1, max_size=6))
def test_what_is_there_may_be_there(stored: list[tuple[str, str | None, list[bytes]]], wishes: list[Contents]) -> None:
    gathering, whole = Gathering(), Gathering()
    for some in stored:
        gathering.add(*some)
    whole.join(gathering)
    for kept in (gathering.encoded(), whole.encoded()):
        assert kept is None or len(kept) % 128 == 0
        each_row = [(type_name, provider, body) for type_name, provider, bodies in stored for body in bodies]
        for type_name, provider, body in each_row if kept else ():
            record = Record(1, "u", None, provider, "e", type_name, 0, None, 0, 0, 0, body, 1)
            for wish in wishes:
                if record in wish:
                    assert Sketch.of(kept or b"").may_hold(wish)
                    assert Sketch.of(kept or b"").may_hold(wish, type_name)


def of(*each: dict[str, Any], type_name: str = "heart_rate") -> Sketch:
    gathering = Gathering()
    for value in each:
        gathering.add(type_name, None, [json.dumps(value, separators=(",", ":")).encode()])
    kept = gathering.encoded()
    assert kept is not None
    return Sketch.of(kept)


def test_an_app_and_a_provider_that_no_row_names_are_in_none() -> None:
    sketch = of({"value": {"bpm": 60}, "source": {"app": "a", "provider": "googlefit", "record_id": "1"}})
    assert sketch.may_hold(Contents(app="a"))
    assert sketch.may_hold(Contents(provider="google_fit"))
    assert not sketch.may_hold(Contents(app="b"))
    assert not sketch.may_hold(Contents(provider="oura"))


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("bpm:60..61", True), ("bpm:63..70", False), ("bpm:60.3..61.9", False), ("bpm:62..", True), ("63..", False),
        ("..59", False), ("kg:60..61", False), ("..60", True),
    ],
)  # fmt: skip
def test_whole_numbers_are_told_apart(asked: str, there: bool) -> None:
    value = ValueRange.of(asked)
    sketch = of(*({"value": {"bpm": bpm}} for bpm in (60, 62)))
    assert sketch.may_hold(Contents(value=value)) is there
    assert not sketch.may_hold(Contents(value=value), "weight")


def test_of_very_many_numbers_it_is_kept_roughly_where_they_lie() -> None:
    sketch = of(*({"value": {"steps": steps}} for steps in range(2000, 20_000)), type_name="steps")
    assert sketch.may_hold(Contents(value=ValueRange.of("steps:2500.5..2500.6")))
    assert not sketch.may_hold(Contents(value=ValueRange.of("steps:..1900")))
    assert not sketch.may_hold(Contents(value=ValueRange.of("steps:24000..")))


def test_of_rows_that_cannot_be_taken_apart_nothing_is_said() -> None:
    gathering = Gathering()
    gathering.add("heart_rate", None, [b'{"value":{"bpm":60},"source":{"app":7}}'])
    assert gathering.encoded() is None


def test_of_rows_that_only_together_can_be_taken_apart_nothing_is_said() -> None:
    """They are read together: what one leaves open another may close, and what lies between is in neither."""
    gathering = Gathering()
    gathering.add("heart_rate", None, [b'{"device":', b'{"value":{"bpm":60}}', b"}"])
    assert gathering.encoded() is None


def test_rows_with_lines_of_their_own_are_read_beside_others() -> None:
    """An event is kept as it was sent, by some with a line for each field."""
    gathering = Gathering()
    rows = [b'{"value":\n{"bpm":61},\n"source":{"app":"lines"}}', b'{"value":{"bpm":62}}']
    gathering.add("heart_rate", None, rows * 9)
    sketch = Sketch.of(gathering.encoded() or b"")
    assert sketch.may_hold(Contents(app="lines"))
    assert not sketch.may_hold(Contents(app="other"))
    assert sketch.may_hold(Contents(value=ValueRange.of("bpm:61..61")))
    assert not sketch.may_hold(Contents(value=ValueRange.of("bpm:63..")))


@pytest.mark.parametrize("long", ["", "x" * 2000])
def test_of_many_rows_that_all_say_something_else_none_is_left_out(long: str) -> None:
    """They are not remembered then, nor is what is long; some come one by one, some again."""
    gathering, rows = Gathering(least=64), []
    for number in range(900):
        said = {"value": {"bpm": number}, "source": {"record_id": f"{number}{long}", "app": f"a{number % 7}"}}
        rows.append(json.dumps(said, separators=(",", ":")).encode())
    for start, end in ((0, 1), (1, 40), (20, 300), (300, 301), (301, 880), (0, 900)):
        gathering.add("heart_rate", None, rows[start:end])
    sketch = Sketch.of(gathering.encoded() or b"")
    assert all(sketch.may_hold(Contents(value=ValueRange.of(f"bpm:{number}..{number}"))) for number in range(900))
    assert all(sketch.may_hold(Contents(app=f"a{number}")) for number in range(7))
    assert not sketch.may_hold(Contents(app="a7"))
    assert not sketch.may_hold(Contents(value=ValueRange.of("bpm:1100..")))


def test_long_rows_do_not_wait_in_memory() -> None:
    tracemalloc.start()
    try:
        few = Gathering()
        gatherings = [Gathering(least=64, few=few) for _ in range(20)]
        for number in range(20):
            for gathering in gatherings:
                said = {"value": {"bpm": number}, "source": {"app": "a"}, "note": "x" * 50_000}
                gathering.add("heart_rate", None, [json.dumps(said).encode()])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2_000_000, "20 MB were read"


def test_of_more_apps_than_can_be_kept_nothing_is_said() -> None:
    gathering = Gathering()
    for number in range(129):
        gathering.add("heart_rate", None, [b'{"value":{"bpm":60},"source":{"app":"%d"}}' % number])
    assert gathering.encoded() is None


@pytest.mark.parametrize("last", [[1, True], [1, 2, 3], [1, 10**40], [1, 0.5]], ids=str)
@pytest.mark.parametrize("more", [{}, {"bpm": 31}], ids=["alone", "beside a number"])
def test_a_long_series_tells_what_a_short_one_does(last: list[Any], more: dict[str, Any]) -> None:
    samples = [[second, 60 + second % 7] for second in range(400)] + [last]
    body = {"value": {"samples": samples} | more, "source": {"app": "a", "provider": "oura"}}
    long = of(body)
    short = Gathering()
    for sample in samples:
        short.add("heart_rate", None, [json.dumps(body | {"value": {"samples": [sample]} | more}).encode()])
    assert long._places == Sketch.of(short.encoded() or b"")._places
    assert (long._apps, long._providers) == (["a"], ["oura"])


def test_of_a_long_series_the_collector_has_nothing_to_look_at() -> None:
    """With a list for each sample it stopped everybody for 20 ms, when some other thread had many as well."""
    samples = [[second, 60 + second % 60] for second in range(20_000)]
    body = json.dumps({"value": {"samples": samples}}).encode()
    gathering = Gathering()
    gathering.add("heart_rate", None, [body])  # what is made once is made
    gc.collect()
    before = gc.get_stats()[0]["collections"]
    gathering.add("heart_rate", None, [body + b" "])
    assert gc.get_stats()[0]["collections"] <= before + 1
