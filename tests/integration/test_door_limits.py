"""Limits of the door, at one less, exact and one more: attack cases T21 to T25. The others notice nothing."""

import asyncio
import resource

import pytest

from healthsync_mqtt.broker.embedded.backpressure import Hold
from healthsync_mqtt.broker.embedded.connection import Connection
from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    ConnectCode,
    Pingreq,
    Puback,
    Publish,
    Pubrec,
    Subscribe,
    Will,
)
from tests.support.inprocess import Bystander, House
from tests.support.peer import Peer, event


def settings(**limits: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("changes", [{f"limits.{name}": value for name, value in limits.items()}])


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def raw_publish(topic: bytes, payload: bytes = b"{}") -> bytes:
    """A PUBLISH at QoS 0 that our own encoder would refuse to write."""
    body = text(topic) + payload
    size, length = len(body), bytearray()
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (128 if size else 0))
        if not size:
            return b"\x30" + bytes(length) + body


# -- T21: silence


async def test_silence_is_cut_off(house: House, bob: Bystander) -> None:
    silent = [await house.knock(), await house.knock(tls=True)]
    slow = await house.knock()
    slow.writer.write(encode(Connect("alice-watch"))[:5])
    await house.hurry(3, 0.1)
    for peer in (*silent, slow):
        assert await peer.closed() == []
    await house.still_serves(bob)


async def test_a_connect_that_drips_is_cut_off(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.knock()
    await house.hurry(1, 0.15)
    data = encode(Connect(alice.client_id, True, 60, alice.client_id, alice.token.encode()))
    with pytest.raises(ConnectionError):  # noqa: PT012  # either the writing or the reading notices
        for byte in data:
            peer.writer.write(bytes([byte]))
            await peer.writer.drain()
            await asyncio.sleep(0.005)
        await peer.next()
    await house.still_serves(bob)


@settings(unauthenticated_per_address=300, connect_timeout_s=60)
async def test_two_hundred_half_open_connections_hinder_nobody(house: House, bob: Bystander) -> None:
    half_open = [await house.knock() for _ in range(200)]
    for peer in half_open[::2]:
        peer.writer.write(b"\x10\xff\x10")
    alice = house.device("alice")
    peer = await house.connect(alice, tls=True)
    await peer.publish(alice.events, event("a"))
    await house.still_serves(bob)
    assert house.counters.connections == 203


@settings(unauthenticated_per_address=3, connect_timeout_s=60)
async def test_waiting_connections_of_an_address_are_bounded(house: House, bob: Bystander) -> None:
    waiting = [await house.knock() for _ in range(3)]
    await house.until(lambda: house.counters.connections == 5, "all three are in")
    newcomer = await house.knock()
    assert await waiting[0].closed() == []  # the oldest goes, never the newcomer
    assert house.counters.refused_by_reason == {"unauthenticated_per_address": 1}
    assert (await newcomer.connect(house.device("carl"))).code == ConnectCode.ACCEPTED
    await waiting[1].leave()
    await house.until(lambda: house.counters.connections == 4, "one is gone")
    peer = await house.connect(house.device("alice"))
    assert await peer.settle() == []
    await house.still_serves(bob)


@settings(connections_per_address=3)
async def test_connections_of_an_address_are_bounded(house: House, bob: Bystander) -> None:
    third = await house.connect(house.device("alice"))
    fourth = await house.knock()
    assert await fourth.closed() == []
    await third.disconnect()
    await house.until(lambda: house.counters.connections == 2, "the third is gone")
    await house.connect(house.device("alice", "phone"))
    await house.still_serves(bob)


# -- T22: what is no MQTT


@pytest.mark.parametrize(
    "data",
    [
        encode(Pingreq()),
        encode(Publish(b"users/alice/events", b"{}", 1, False, False, 1)),
        encode(Subscribe(1, (("#", 0),))),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00",
        b"\xff" * 100,
        b"\x10\xff\xff\xff\x7f",
        b"\x10\xff\xff\xff\xff\x01",
        b"\x10\x81\x40" + b"\x00" * 100,
    ],
)
async def test_what_does_not_begin_with_connect_is_cut_off(house: House, bob: Bystander, data: bytes) -> None:
    peer = await house.knock()
    peer.writer.write(data)
    assert await peer.closed() == []
    await house.still_serves(bob)


@settings(connect_bytes=2048)
async def test_connect_is_bounded(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    plain = len(
        encode(Connect(alice.client_id, True, 60, alice.client_id, alice.token.encode(), Will(alice.status, b"")))
    )
    room = 2048 - (plain - 3)
    for size, fits in ((room - 1, True), (room, True), (room + 1, False)):
        peer = await house.knock()
        asked = Connect(
            alice.client_id, True, 60, alice.client_id, alice.token.encode(), Will(alice.status, b"w" * size)
        )
        peer.send(asked)
        if fits:
            assert (await peer.next()) == Connack(False, ConnectCode.ACCEPTED)
        else:
            assert await peer.closed() == []
    await house.still_serves(bob)


async def test_a_large_declared_length_costs_no_memory(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    before = peak_bytes()
    for length in (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x01", b"\x80\x80\x80\x60"):
        peer = await house.connect(alice)
        peer.writer.write(b"\x32" + length)
        for _ in range(200):
            if peer.writer.transport.is_closing():
                break
            peer.writer.write(b"x" * 65_536)
            await asyncio.sleep(0)
            peer.writer.transport.get_write_buffer_size()
            if peer.reader.at_eof() or peer.reader.exception():
                break
        assert await peer.closed() == []
    # The bytes that this very process wrote count, too; the service's share of what was declared would be far more.
    assert peak_bytes() - before < 60 * 1024 * 1024
    await house.still_serves(bob)


# -- T23: exact boundaries


@settings(max_packet=4096)
async def test_packet_size(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    head = 2 + len(alice.status) + 2
    for size, fits in ((4095, True), (4096, True), (4097, False)):
        peer = await house.connect(alice)
        peer.send(Publish(alice.status.encode(), b"x" * (size - head), 1, False, False, 1))
        assert await peer.next() == Puback(1)
        assert house.counters.refused_by_reason["packet_too_large"] == (0 if fits else 1)
    await house.still_serves(bob)


@settings(max_packet=4096)
async def test_a_packet_over_the_limit_goes_by_unread_and_is_told(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.receipts, 1)) == (1,)
    head = 2 + len(alice.events) + 2
    for qos in (1, 2):
        await peer.publish(alice.events, b" " * (16 * 4096 - head), qos)
        (told,) = (await peer.receipt()).rejected
        assert told.code == "too_large"
        assert told.message.endswith("send at most 4096 bytes in a packet")
    await peer.publish(alice.events, event("behind"))
    assert (await peer.receipt()).stored == ["behind"]
    assert house.counters.refused_by_reason["packet_too_large"] == 2
    peer.send(Publish(alice.events.encode(), b" " * (16 * 4096 - head + 1), 1, False, False, 9))
    assert await peer.closed() == []
    await house.still_serves(bob)


@settings(max_packet=4096)
async def test_a_long_packet_right_behind_the_connect_is_told_too(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.knock()
    asked = encode(Connect(alice.client_id, False, 60, alice.client_id, alice.token.encode(), None, 4, "MQTT"))
    long = encode(Publish(alice.events.encode(), b" " * 5_000, 1, False, True, 1))
    peer.send(asked + long + encode(Publish(alice.events.encode(), event("behind"), 1, False, True, 2)))
    assert [await peer.next() for _ in range(3)] == [Connack(False, 0), Puback(1), Puback(2)]
    assert house.stored("alice") == ["behind"]
    assert house.counters.refused_by_reason["packet_too_large"] == 1
    await house.still_serves(bob)


@settings(max_filters=3, filters_per_subscribe=5)
async def test_filters(house: House, bob: Bystander) -> None:
    admin = await house.connect(house.admin())
    names = [f"users/u{n}/devices/d/receipts" for n in range(6)]
    assert await admin.subscribe(*((n, 1) for n in names[:2])) == (1, 1)
    assert await admin.subscribe((names[2], 1), (names[3], 1)) == (1, 0x80)
    assert await admin.subscribe((names[0], 2), (names[4], 1)) == (2, 0x80)
    await admin.unsubscribe(names[0])
    assert await admin.subscribe((names[4], 0), (names[5], 0)) == (0, 0x80)
    again = [(names[4], 1)] * 6
    assert await admin.subscribe(*again) == (1, 1, 1, 1, 1, 0x80)
    await house.still_serves(bob)


@settings(max_unreleased=3)
async def test_unreleased_messages(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice, clean=False)
    for n in (1, 2, 3, 3, 1):
        peer.send(Publish(alice.status.encode(), b"x", 2, False, False, n))
        assert await peer.expect(Pubrec) == Pubrec(n)
    peer.send(Publish(alice.status.encode(), b"x", 2, False, False, 4))
    assert await peer.closed() == []
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [{"events.max_events": 3}])
async def test_batch_size(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.receipts, 1)) == (1,)
    for count, stored in ((2, 2), (3, 3), (4, 0)):
        batch = b"[" + b",".join(event(f"{count}-{n}") for n in range(count)) + b"]"
        await peer.publish(alice.events, batch)
        receipt = await peer.receipt()
        assert len(receipt.stored) == stored
        assert [entry.code for entry in receipt.rejected] == ([] if stored else ["too_many"])
    await house.still_serves(bob)


@settings(refused_publishes=3)
async def test_who_only_publishes_to_others_is_cut_off(house: House, bob: Bystander) -> None:
    peer = await house.connect(house.device("alice"))
    forged = [Publish(b"users/bob/events", event("forged"), 1, False, False, number) for number in range(1, 10)]
    peer.send(*forged)
    assert [packet[0] for packet in await peer.closed()] == [1, 2, 3, 4]
    assert house.counters.publishes_refused == 4
    await house.still_serves(bob)


# -- T24, T25: topics


@pytest.mark.parametrize(
    "topic",
    [
        b"", b"users/bob/#", b"users/+/events", b"users/alice/devices/watch/even\xfft",
        b"users/alice/\x00events", b"users/alice\xed\xa0\x80/events", b"users/alice/events\x00",
    ],
)  # fmt: skip
async def test_hostile_topics_end_the_connection(house: House, bob: Bystander, topic: bytes) -> None:
    peer = await house.connect(house.device("alice"))
    peer.writer.write(raw_publish(topic, event("a")))
    assert await peer.closed() == []
    assert house.stored() == []
    await house.still_serves(bob)


@pytest.mark.parametrize(
    "topic",
    [b"x" * 65_535, b"/" * 65_400, b"//", b"\xef\xbb\xbfusers/alice/events", b"users/alice\xef\xbf\xbf/events"],
    ids=["long", "slashes", "empty-levels", "mark", "non-character"],
)
async def test_topics_that_nobody_has_go_nowhere(house: House, bob: Bystander, topic: bytes) -> None:
    peer = await house.connect(house.device("alice"))
    peer.writer.write(raw_publish(topic, event("a")))
    assert await peer.settle() == []
    assert house.counters.refused_by_reason["not_allowed"] == 1
    assert house.stored() == []
    await house.still_serves(bob)


@pytest.mark.parametrize("filter_", [b"", b"users/alice\x00/#", b"users/\xff", b"\xed\xa0\x80"])
async def test_hostile_filters_end_the_connection(house: House, bob: Bystander, filter_: bytes) -> None:
    peer = await house.connect(house.device("alice"))
    body = b"\x00\x01" + text(filter_) + b"\x01"
    peer.writer.write(b"\x82" + bytes([len(body)]) + body)
    assert await peer.closed() == []
    await house.still_serves(bob)


async def test_huge_filters_are_refused_quickly(house: House, bob: Bystander) -> None:
    peer = await house.connect(house.device("alice"))
    wanted = ["/".join("+" * 30_000), "/" * 60_000, "x" * 65_000, "users/" + "+/" * 10_000 + "#"]
    assert await peer.subscribe(*((f, 1) for f in wanted)) == (0x80,) * len(wanted)
    await house.still_serves(bob)


# -- clients that do not read


async def clog(house: House, peer: Peer, topic: str) -> tuple[Connection, int]:
    """Have a device that listens to its own status, and reads nothing, send statuses until the door holds it back."""
    peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
    (connection,) = (
        c for c in house.door._connections if c.principal and topic.startswith(f"users/{c.principal.user}/")
    )
    sent = 0
    while Hold.OUTBOX not in connection.reading.held and sent < 2000:
        peer.send(Publish(topic.encode(), b"%05d" % sent + b"x" * 30_000))
        sent += 1
        await house.until(
            lambda: not peer.writer.transport.get_write_buffer_size() or Hold.OUTBOX in connection.reading.held,
            "what was sent is taken, or the door holds the device back",
        )
    assert Hold.OUTBOX in connection.reading.held
    return connection, sent


async def test_a_client_that_never_reads_is_cut_off(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.status, 0)) == (0,)
    connection, _ = await clog(house, peer, alice.status)
    assert connection._wire.transport.get_write_buffer_size() < 1024 * 1024
    await house.still_serves(bob)
    deadlines = connection._deadlines
    assert deadlines._silence is not None
    deadlines._silence.cancel()
    deadlines._keep_alive_s = 1.0  # a minute from the start would be long, and a second too short for what was before
    deadlines._check()
    await house.until(lambda: connection not in house.door._connections, "it is cut off")
    await house.still_serves(bob)


async def test_a_client_that_reads_late_gets_everything(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.status, 0)) == (0,)
    connection, sent = await clog(house, peer, alice.status)
    await house.still_serves(bob)
    peer.reader._transport.resume_reading()  # type: ignore[attr-defined]
    assert [int((await peer.message()).payload[:5]) for _ in range(sent)] == list(range(sent))
    await house.until(lambda: not connection.reading.held, "it is read again")
    assert await peer.settle() == []


@settings(send_window=2, session_queue=5)
async def test_a_full_queue_does_not_stop_acknowledgements(house: House, bob: Bystander) -> None:
    """A client whose queue is full has to be read all the same: its acknowledgements are what empties the queue."""
    alice = house.device("alice")
    peer = await house.connect(alice)
    app = await house.connect(house.subscriber("app", ["alice"]))
    assert await app.subscribe((alice.status, 1)) == (1,)
    for n in range(20):
        await peer.publish(alice.status, b"%d" % n)
    await house.until(lambda: not house.door._embedded._sent > house.door._embedded._delivered, "all were routed")
    assert [(await app.message()).payload for _ in range(7)] == [b"%d" % n for n in range(7)]
    assert await app.settle() == []
    await peer.publish(alice.status, b"later")
    assert (await app.message()).payload == b"later"
    await house.still_serves(bob)


async def test_a_flood_of_statuses_is_slowed_down_to_what_amqtt_takes(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    app = await house.connect(house.subscriber("app", ["alice"]))
    assert await app.subscribe((alice.status, 0)) == (0,)
    most = 0
    embedded = house.door._embedded
    total = 15_000
    for start in range(0, total, 500):
        peer.send(*(Publish(alice.status.encode(), b"%d" % n) for n in range(start, start + 500)))
        await asyncio.sleep(0)
        most = max(most, embedded._sent - embedded._delivered)
    await house.still_serves(bob)
    for n in range(total):
        assert (await app.message()).payload == b"%d" % n
        if n % 100 == 0:
            most = max(most, embedded._sent - embedded._delivered)
    assert most < 10_000


@settings(failed_login_base_s=0.05, failed_login_max_s=0.2)
async def test_failed_logins_slow_down(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    guard, waits = house.door._guard, []
    failed = guard.failed
    guard.failed = lambda *who: waits.append(failed(*who)) or waits[-1]  # type: ignore[method-assign,func-returns-value]
    for number in range(1, 5):
        peer = await house.knock()
        assert (await peer.connect(alice, password=b"wrong")).code == ConnectCode.NOT_AUTHORIZED
        assert len(waits) == number
    assert waits == [0.05, 0.1, 0.2, 0.2]
    await house.connect(alice)
    peer = await house.knock()
    await peer.connect(alice, password=b"wrong")
    await house.still_serves(bob)
