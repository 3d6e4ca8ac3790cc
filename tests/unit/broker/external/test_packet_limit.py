"""What is learnt of a broker that cuts connections at long packets."""

from bridge.edges.packet_limit import TIMES, PacketLimit
from healthsync_mqtt.mqtt.links.port import MAX_PACKET, UnansweredMessage

LONG = UnansweredMessage(b"users/alice/canonical/heart_rate", 90_000)


def test_the_same_long_message_at_the_end_of_each_connection_is_too_long() -> None:
    limit = PacketLimit()
    assert [limit.ended(LONG) for _ in range(TIMES)] == [False] * (TIMES - 1) + [True]
    assert limit.most == 89_999


def test_a_receipt_that_varies_by_some_bytes_is_the_same_message() -> None:
    limit = PacketLimit()
    for size in (90_000, 90_003, 89_998, 90_000, 90_001):
        limit.ended(LONG._replace(size=size))
    assert limit.most == 89_997


def test_connections_that_end_elsewhere_teach_nothing() -> None:
    limit = PacketLimit()
    others = (None, LONG._replace(topic=b"other"), LONG._replace(size=200))
    for number in range(20 * TIMES):
        limit.ended(LONG if number % (TIMES - 1) else others[number % 3])
    assert limit.most == MAX_PACKET


def test_what_was_learnt_gets_less_and_never_more() -> None:
    limit = PacketLimit()
    for size in (90_000, 60_000, 80_000):
        for _ in range(TIMES):
            limit.ended(LONG._replace(size=size))
    assert limit.most == 59_999
