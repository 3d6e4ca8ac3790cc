"""Every line ends accepted or refused, whatever the server says."""

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.sinks.influx.answers import AnswerVerdict, Means
from healthsync_mqtt.sinks.influx.dispatch import Dispatch, SentLine
from healthsync_mqtt.sinks.influx.line import Line


def sent(count: int) -> list[SentLine]:
    return [SentLine(place + 1, 0, Line("heart_rate,user=a", "bpm=72.0", place)) for place in range(count)]


@given(st.integers(0, 40), st.sets(st.integers(1, 40)), st.integers(20, 2000), st.randoms(use_true_random=False))
def test_exactly_the_bad_lines_are_refused_and_the_good_are_accepted(count, bad, max_bytes, chance) -> None:
    dispatch, accepted, rounds = Dispatch(sent(count), max_bytes), set(), 0
    while part := dispatch.part:
        rounds += 1
        culprits = tuple(place for place, line in enumerate(part) if line.seq in bad)
        means = chance.choice([Means.WAIT, Means.PAUSE, Means.ADVANCE])
        if means is Means.ADVANCE and culprits:
            means = chance.choice([Means.REFUSE, Means.SUSPECT, Means.BISECT])
        elif means is Means.ADVANCE and len(part) > 1 and chance.random() < 0.2:
            means = Means.HALVE
        if means is Means.ADVANCE:
            accepted |= {line.seq for line in part}
        lines = culprits if means in {Means.REFUSE, Means.SUSPECT} else ()
        dispatch.took(AnswerVerdict(means, lines=lines))
        assert rounds < 5000
    assert {refused.sent.seq for refused in dispatch.refused} == bad & set(range(1, count + 1))
    assert len(dispatch.refused) == len(bad & set(range(1, count + 1)))
    assert accepted == set(range(1, count + 1)) - bad
    assert dispatch.accepted == len(accepted)


def test_parts_are_bounded_by_bytes_and_keep_the_order() -> None:
    dispatch, seen = Dispatch(sent(100), 500), []
    while part := dispatch.part:
        assert sum(len(line.line.text) + 1 for line in part) <= 500
        seen += [line.seq for line in part]
        dispatch.took(AnswerVerdict(Means.ADVANCE))
    assert seen == list(range(1, 101))


def test_a_line_that_is_too_large_alone_is_refused() -> None:
    dispatch = Dispatch(sent(1), 500)
    dispatch.took(AnswerVerdict(Means.HALVE, "too_large"))
    assert (dispatch.part, len(dispatch.refused)) == ((), 1)
