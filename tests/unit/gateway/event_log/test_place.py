"""A sealed place is opened by who sealed it, for the question that it was sealed for, and by nobody else."""

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.gateway.event_log.place import SealedPlaces

PLACES = SealedPlaces("a-secret")
SEQ = st.integers(0, 2**63)


@given(SEQ, st.text(max_size=20))
def test_what_is_sealed_is_opened(seq: int, about: str) -> None:
    assert PLACES.open(PLACES.seal(seq, about), about) == seq


@given(SEQ, st.text(max_size=20), st.text(max_size=20))
def test_for_another_question_it_is_nothing(seq: int, about: str, other: str) -> None:
    opened = PLACES.open(PLACES.seal(seq, about), other)
    assert opened == (seq if about == other else None)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[A-Za-z0-9_-]{22}", fullmatch=True)))
def test_a_made_up_text_is_nothing(text: str) -> None:
    assert PLACES.open(text, "events/alice") is None


def test_another_installation_opens_nothing() -> None:
    assert SealedPlaces("another").open(PLACES.seal(7, "a"), "a") is None


def test_neighbours_do_not_look_like_neighbours() -> None:
    first, second = PLACES.seal(1, "a"), PLACES.seal(2, "a")
    assert sum(one == other for one, other in zip(first, second, strict=True)) < 11
