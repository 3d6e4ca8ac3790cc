"""What is remembered of scales that say the same again and again: the newest, and as few while a message is read."""

from healthsync_mqtt.formats.reading.weighings import Repeats

NOW_US = 1_777_786_860_000_000


def test_a_message_of_very_many_scales_compares_each_with_a_few() -> None:
    repeats = Repeats(b"")
    for scale in range(500):
        repeats.first_us(f"scale {scale}", 70, NOW_US + scale)
        assert len(repeats._rows) <= 32
    again = Repeats(repeats.state)
    assert [again.first_us(f"scale {scale}", 70, NOW_US + 999) for scale in (468, 499, 0)] == [
        NOW_US + 468,
        NOW_US + 499,
        NOW_US + 999,
    ]
