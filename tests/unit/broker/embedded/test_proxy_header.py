"""The PROXY protocol's header: read to its last byte, in whatever pieces, and nothing else is taken for one."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded.introductions import Proxies
from healthsync_mqtt.broker.embedded.proxy_header import LONGEST, SIGNATURE, Introduced, NoHeaderError, ProxyHeader
from healthsync_mqtt.config.sections import BrokerSettings

V4, V6 = 0x11, 0x21


def header(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


def of(source: str, *, more: bytes = b"") -> bytes:
    address = ipaddress.ip_address(source)
    other = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    body = address.packed + other.packed + struct.pack("!HH", 56_324, 8_883)
    return header(0x21, V4 if address.version == 4 else V6, body + more)


def read(data: bytes, sizes: list[int]) -> tuple[Introduced | None, bytes]:
    """What a header in a stream says, and what is left of the stream."""
    parser, sizes = ProxyHeader(), sizes or [1]
    while data:
        take = min(parser.wants, sizes[0])
        sizes = [*sizes[1:], sizes[0]]
        found = parser.take(data[:take])
        data = data[take:]
        if found is not None:
            return found, data
    return None, data


@given(
    source=st.ip_addresses(),
    more=st.binary(max_size=200),
    after=st.binary(max_size=40),
    sizes=st.lists(st.integers(1, 30), max_size=5),
)
def test_whatever_the_pieces_the_client_is_named_and_nothing_behind_it_is_read(
    source: ipaddress.IPv4Address | ipaddress.IPv6Address, more: bytes, after: bytes, sizes: list[int]
) -> None:
    mapped = getattr(source, "ipv4_mapped", None)
    assert read(of(str(source), more=more) + after, sizes) == (Introduced(str(mapped or source)), after)


def line_of(source: str) -> bytes:
    version, other = ("TCP4", "127.0.0.1") if "." in source else ("TCP6", "::1")
    return f"PROXY {version} {source} {other} 56324 8883\r\n".encode()


@given(source=st.ip_addresses(), after=st.binary(max_size=40), sizes=st.lists(st.integers(1, 30), max_size=5))
def test_a_line_names_the_client_too_and_nothing_behind_it_is_read(
    source: ipaddress.IPv4Address | ipaddress.IPv6Address, after: bytes, sizes: list[int]
) -> None:
    mapped = getattr(source, "ipv4_mapped", None)
    version = "TCP4" if source.version == 4 else "TCP6"
    line = f"PROXY {version} {source} {'127.0.0.1' if source.version == 4 else '::1'} 0 65535\r\n".encode()
    assert read(line + after, sizes) == (Introduced(str(mapped or source)), after)


@pytest.mark.parametrize("more", [b"", b" ", b" TCP4 1.2.3.4 \r \n x", b" " + b"f" * 91])
def test_a_line_may_say_nothing(more: bytes) -> None:
    assert read(b"PROXY UNKNOWN" + more + b"\r\nrest", [7]) == (Introduced(None), b"rest")


@pytest.mark.parametrize("whole", [line_of("203.0.113.7"), line_of("2001:db8::1"), b"PROXY UNKNOWN\r\n"])
def test_every_beginning_of_a_line_is_not_yet_one(whole: bytes) -> None:
    for size in range(len(whole)):
        assert read(whole[:size], [1])[0] is None


def test_every_beginning_of_one_is_not_yet_one() -> None:
    whole = of("203.0.113.7", more=b"\x04\x00\x01x")
    for size in range(len(whole)):
        assert read(whole[:size], [1])[0] is None


@pytest.mark.parametrize("body", [b"", b"x" * 12])
@pytest.mark.parametrize(("command", "family"), [(0x20, 0x00), (0x20, V4), (0x21, 0x00)])
def test_a_proxy_may_speak_for_itself(command: int, family: int, body: bytes) -> None:
    assert read(header(command, family, body) + b"rest", [7]) == (Introduced(None), b"rest")


@pytest.mark.parametrize(
    "wrong",
    [
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1883 more\r\n",
        b"PROXY TCP4  203.0.113.7 192.0.2.1 56324 1883\r\n",
        b"PROXY TCP4 203.0.113.07 192.0.2.1 56324 1883\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 56324 1883\r\n",
        b"PROXY TCP6 203.0.113.7 192.0.2.1 56324 1883\r\n",
        b"PROXY TCP6 fe80::1%eth0 fe80::2 56324 1883\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 65536\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 -1 1883\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 \u00b2 1883\r\n".encode(),
        b"PROXY UDP4 203.0.113.7 192.0.2.1 56324 1883\r\n",
        b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
        b"PROXY UNKNOWNER\r\n",
        b"PROXY \r\n" + bytes(200),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1883\n" + bytes(100),
        b"proxy TCP4 203.0.113.7 192.0.2.1 56324 1883\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x10\x20\x00\x04MQTT",
        header(0x11, V4, bytes(12)),
        header(0x22, V4, bytes(12)),
        header(0x21, V4, bytes(11)),
        header(0x21, V6, bytes(35)),
        header(0x21, 0x12, bytes(12)),
        header(0x21, 0x31, bytes(216)),
        header(0x21, V4, bytes(LONGEST)),
    ],
)
def test_what_is_none_is_refused(wrong: bytes) -> None:
    for sizes in ([1], [5000]):
        with pytest.raises(NoHeaderError):
            read(wrong, sizes)


@pytest.mark.parametrize("wrong", ["0.0.0.0/0", "::/0", "balancer.example", "10.0.0.0/33"])
def test_a_name_and_everybody_are_no_proxies(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"proxy is an address|name the proxies"):
        BrokerSettings(proxies=("10.0.0.5", wrong))


def test_who_is_trusted() -> None:
    proxies = Proxies(("10.0.0.5", "192.0.2.0/28", "2001:db8::/64"))
    for yes in ("10.0.0.5", "192.0.2.3", "2001:db8::7", "::ffff:10.0.0.5"):
        assert proxies.trusts(yes)
    for no in ("10.0.0.6", "192.0.2.16", "2001:db8:0:1::7", "::ffff:10.0.0.6", "fe80::1%eth0"):
        assert not proxies.trusts(no)
    assert not Proxies().trusts("127.0.0.1")
