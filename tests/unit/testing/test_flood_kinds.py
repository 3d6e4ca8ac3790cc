"""What the floods really send, read back from their bytes: no type of packet or frame is missing."""

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.mqtt.codec import Decoder, ProtocolError
from healthsync_mqtt.mqtt.codec.packets import Connect, PacketType, Publish
from tests.support.floods.attack import greeting
from tests.support.floods.frames import frames_of
from tests.support.floods.kind import Kind, Over
from tests.support.floods.kinds import KINDS
from tests.support.floods.packets_of import packets_of
from tests.support.wire import Login
from tests.unit.bridge.decode.examples import ORIGIN

LOGIN = Login(client_id="u1-d0", token="t", topic="users/u1/devices/d0/events", user="u1", device="d0")
PAGE = Path(__file__).parents[3] / "docs" / "howto" / "limits.md"
TYPES = (*PacketType, 0)
OPCODES = (*range(3), *range(8, 11))
RESERVED = (*range(3, 8), *range(11, 16))


@cache
def blocks(kind: Kind) -> tuple[bytes, ...]:
    return kind.blocks(LOGIN)


def mqtt(kind: Kind) -> Iterator[bytes]:
    """The MQTT of each block, out of its frames where there are any."""
    for block in blocks(kind):
        yield (
            b"".join(payload for opcode, payload in frames_of(block) if opcode < 8) if kind.over is Over.WEB else block
        )


def well_formed(packet: bytes, version: int) -> bool:
    """Whether it is what it should be, or of a type that its version does not have."""
    if packet[0] in {0x00, 0xF0 if version < 5 else 0x00}:
        return True
    try:
        found = Decoder(2 << 20, 2 << 20, server=False, versions=frozenset({3, 4} if version < 5 else {5})).feed(packet)
    except ProtocolError:
        return False
    return len(found) == 1


@cache
def named() -> dict[tuple[int, int, bool], list[str]]:
    """By version, type and whether after a login: the kinds that send such packets. Of a stranger the first counts."""
    found: dict[tuple[int, int, bool], list[str]] = {}
    for kind in KINDS:
        if kind.over in {Over.HTTP, Over.HALF_TLS}:
            continue
        sent: set[tuple[int, bytes]] = set()
        for data in mqtt(kind):
            packets = packets_of(data)
            sent |= set(packets) if kind.login else {each for each, _ in zip(packets, range(1), strict=False)}
        for packet_type, packet in sent:
            if well_formed(packet, kind.version):
                kinds = found.setdefault((kind.version, packet_type, kind.login), [])
                kinds += [kind.name] * (kind.name not in kinds)
    return found


@pytest.mark.parametrize("login", [False, True], ids=["before login", "after login"])
@pytest.mark.parametrize("packet_type", [*PacketType, 0], ids=lambda value: PacketType(value).name if value else "0")
@pytest.mark.parametrize("version", [4, 5])
def test_every_type_of_packet_is_sent_in_both_versions(version: int, packet_type: int, login: bool) -> None:
    assert named().get((version, packet_type, login))


@cache
def framed() -> dict[tuple[int, bool], list[str]]:
    """By opcode and whether after a login: the kinds that send such frames."""
    found: dict[tuple[int, bool], list[str]] = {}
    for kind in KINDS:
        if kind.over is Over.WEB:
            for opcode in {opcode for block in blocks(kind) for opcode, _ in frames_of(block)}:
                found.setdefault((opcode, kind.login), []).append(kind.name)
    return found


@pytest.mark.parametrize("login", [False, True], ids=["before login", "after login"])
@pytest.mark.parametrize("opcode", range(16))
def test_every_opcode_is_sent(opcode: int, login: bool) -> None:
    assert framed().get((opcode, login))


@pytest.mark.parametrize("login", [False, True], ids=["before login", "after login"])
@pytest.mark.parametrize("over", Over)
def test_every_transport_is_flooded(over: Over, login: bool) -> None:
    """Before a login all of them; after one there is no half of a handshake, and no WebSocket that is not open."""
    there = any(kind.over is over and kind.login is login for kind in KINDS)
    assert there is not (login and over in {Over.HTTP, Over.HALF_TLS})


def test_what_is_packed_is_sent_plain_too() -> None:
    names = {kind.name for kind in KINDS}
    packed = [name for name in names if name.endswith("-gzip") and not name.startswith(("tls-", "web-"))]
    assert len(packed) >= 6
    assert [name for name in packed if name.removesuffix("-gzip") not in names] == []


def test_names_are_unique_and_say_who_is_a_stranger() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert {kind.name for kind in KINDS if not kind.login} - {
        kind.name for kind in KINDS if kind.name.startswith("stranger-")
    } == {"wills", "v5-wills"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_what_it_says(kind: Kind) -> None:
    """The blocks of a login that go on are whole packets that the decoder knows; else all would flood with faults."""
    for block in blocks(kind):
        assert kind.churn or len(block) > 4_000 or not kind.login
    if kind.login and not kind.churn and not (kind.over is Over.WEB and "frames" in kind.name):
        versions = frozenset({kind.version})
        for data in mqtt(kind):
            decoder = Decoder(2 << 20, 2 << 20, server=False, versions=versions)
            assert decoder.feed(data) or kind.over is Over.WEB, "no packet is whole"
            assert not decoder.pending


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        *((f"events-{what}{packed}", set()) for what in ("batches", "series") for packed in ("", "-gzip")),
        *((f"bad-events{packed}", {"missing_field"}) for packed in ("", "-gzip")),
        *((f"bad-series{packed}", {"out_of_range"}) for packed in ("", "-gzip")),
        ("gzip-bombs", {"decompress_limit", "malformed"}),
    ],
)
def test_payloads_are_taken_or_refused_for_what_they_are_named_after(name: str, reasons: set[str]) -> None:
    (kind,) = (kind for kind in KINDS if kind.name == name)
    (block,) = blocks(kind)
    packets = Decoder(2 << 20, 2 << 20, server=False).feed(block)
    payloads = {packet.payload for packet in packets if isinstance(packet, Publish)}
    got = [decode(payload, ORIGIN, time.time_ns() // 1_000) for payload in payloads]
    assert {rejection.reason for each in got for rejection in each.rejections} == reasons
    assert any(each.events for each in got) is not bool(reasons)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.login], ids=lambda kind: kind.name)
def test_who_logs_in_says_the_version_that_it_speaks(kind: Kind) -> None:
    said = greeting(kind, LOGIN)
    if kind.over is Over.WEB:
        ((opcode, said),) = frames_of(said)
        assert opcode == 2
    (asked,) = Decoder(1 << 16, versions=frozenset({3, 4, 5})).feed(said)
    assert isinstance(asked, Connect)
    assert (asked.protocol_level, asked.client_id) == (kind.version, LOGIN.client_id)


def test_the_page_counts_them() -> None:
    assert f"floods a service in {len(KINDS)} ways" in PAGE.read_text(encoding="utf-8")
