"""What every outbox promises (``client.outbox.Outbox``), as tests that any of them runs through.

Subclass ``OutboxContract`` in a test module and give it an ``outbox`` fixture, which is empty.
"""

from healthsync_mqtt.client.outbox import KEEP_ACKNOWLEDGED_S, Outbox, Position

_ROWS = [("a", b"1"), ("b", b"2"), ("c", b"3")]
_HERE = Position("e", 5)
_NOON = 1_795_694_400.0
_YEAR = 366 * 86_400.0


def waiting(outbox: Outbox) -> list[str]:
    """The ids of what waits."""
    return [entry.id for entry in outbox.pending(0, 1000)]


class OutboxContract:
    """The tests."""

    def test_it_is_empty_at_first_and_knows_no_position(self, outbox: Outbox) -> None:
        assert (waiting(outbox), outbox.waiting(), outbox.position(), outbox.rewind()) == ([], 0, None, 0)
        assert outbox.capacity > 0
        assert list(outbox.put([])) == []
        outbox.put(_ROWS[:1])
        assert outbox.waiting() == 1
        assert outbox.position() is None

    def test_rows_wait_as_they_were_given_and_in_order(self, outbox: Outbox) -> None:
        keys = list(outbox.put(_ROWS))
        assert [entry[1:] for entry in outbox.pending(0, 10)] == _ROWS
        assert [entry.key for entry in outbox.pending(0, 10)] == keys == sorted(keys)
        assert [entry.id for entry in outbox.pending(keys[0], 1)] == ["b"]
        assert outbox.pending(keys[2], 10) == []

    def test_the_same_id_twice_is_two_rows(self, outbox: Outbox) -> None:
        outbox.put([("a", b"1"), ("a", b"2")])
        assert [entry.payload for entry in outbox.pending(0, 10)] == [b"1", b"2"]

    def test_an_acknowledged_row_waits_no_longer_and_says_where_the_log_is(self, outbox: Outbox) -> None:
        keys = outbox.put(_ROWS)
        outbox.acknowledge([keys[1]], _HERE, 0.0)
        outbox.acknowledge([keys[1], 999_999], _HERE, 0.0)
        assert (waiting(outbox), outbox.waiting(), outbox.position()) == (["a", "c"], 2, _HERE)
        later = Position("f", 1)
        outbox.acknowledge([], later, 0.0)
        assert outbox.position() == later

    def test_a_discarded_row_is_gone_for_good(self, outbox: Outbox) -> None:
        keys = outbox.put(_ROWS)
        outbox.discard([*keys[:2], 999_999])
        assert (waiting(outbox), outbox.waiting(), outbox.rewind()) == (["c"], 1, 0)

    def test_an_acknowledged_row_cannot_be_discarded(self, outbox: Outbox) -> None:
        keys = outbox.put(_ROWS)
        outbox.acknowledge(keys, _HERE, 0.0)
        outbox.discard(keys)
        assert (outbox.waiting(), outbox.rewind()) == (0, 3)

    def test_a_rewind_brings_back_what_was_acknowledged_lately_in_its_old_order(self, outbox: Outbox) -> None:
        keys = outbox.put(_ROWS)
        outbox.acknowledge(keys[:1], _HERE, 0.0)
        for day in range(1, 4):
            outbox.acknowledge([], _HERE, day * 86_400.0)
        outbox.acknowledge(keys[1:2], _HERE, KEEP_ACKNOWLEDGED_S + 50.0)
        assert outbox.rewind() == 1
        assert (waiting(outbox), outbox.waiting()) == (["b", "c"], 2)
        assert outbox.rewind() == 0

    def test_a_clock_that_leaps_ahead_takes_no_row_along(self, outbox: Outbox) -> None:
        keys = outbox.put(_ROWS)
        outbox.acknowledge(keys[:1], _HERE, _NOON)
        outbox.acknowledge(keys[1:2], _HERE, _NOON + _YEAR)
        outbox.acknowledge(keys[2:], _HERE, _NOON + _YEAR + 60.0)
        assert outbox.rewind() == 3

    def test_nor_does_one_that_goes_back_and_forth(self, outbox: Outbox) -> None:
        keys = outbox.put(_ROWS)
        outbox.acknowledge(keys, _HERE, _NOON)
        for minute in range(1, 50):
            outbox.acknowledge([], _HERE, _NOON + minute * 60.0 + (_YEAR if minute % 2 else 0.0))
        assert outbox.rewind() == 3

    def test_a_clock_that_was_set_at_last_lets_rows_go_as_time_goes(self, outbox: Outbox) -> None:
        keys = outbox.put(_ROWS)
        outbox.acknowledge(keys[:1], _HERE, 0.0)
        outbox.acknowledge(keys[1:2], _HERE, _NOON)
        for hour in range(74):
            outbox.acknowledge([], _HERE, _NOON + hour * 3600.0)
        assert outbox.rewind() == 0, "both are older than 72 hours"

    def test_a_device_that_is_seldom_on_keeps_rows_for_a_few_times(self, outbox: Outbox) -> None:
        outbox.acknowledge(outbox.put(_ROWS), _HERE, _NOON)
        for week in range(1, 5):
            outbox.acknowledge([], _HERE, _NOON + week * 7 * 86_400.0)
        assert outbox.rewind() == 0

    def test_keys_never_repeat(self, outbox: Outbox) -> None:
        first = outbox.put(_ROWS)
        outbox.discard(first)
        second = outbox.put(_ROWS)
        outbox.acknowledge(second, _HERE, 0.0)
        assert min(second) > max(first)
        assert min(outbox.put(_ROWS)) > max(second)
