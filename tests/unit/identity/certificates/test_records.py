"""Records of TLS: what each costs, that none is lost, and who sends too many that carry nothing."""

import ssl
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.identity.certificates.files import CertificatePaths, ensure_ca_and_server, server_context
from healthsync_mqtt.identity.certificates.records import TlsRecords
from tests.support.hand_made_tls import HandMadeTls, keylogged


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificatePaths:
    return ensure_ca_and_server(tmp_path_factory.mktemp("certificates"), [], datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ends that have shaken hands. What the client has written is in ``sent``."""

    client: ssl.SSLObject
    sent: ssl.MemoryBIO
    server: TlsRecords
    came: ssl.MemoryBIO

    def records(self, *payloads: bytes) -> bytes:
        """One for each."""
        for payload in payloads:
            assert self.client.write(payload) == len(payload)
        return self.sent.read()

    def go(self, came: bytes = b"") -> bytes:
        """What a loop reads when so much has come, as uvloop does."""
        self.came.write(came)
        found = b""
        try:
            while self.came.pending or self.server.pending():
                part = self.server.read(262_144)
                if not part:
                    break
                found += part
        except ssl.SSLWantReadError:
            pass
        return found


def pair(
    files: CertificatePaths,
    minimum: Literal["1.2", "1.3"] = "1.2",
    most: str = "1.3",
    client: ssl.SSLContext | None = None,
) -> Pair:
    if client is None:
        client = ssl.create_default_context(cafile=str(files.ca_cert))
    if most == "1.2":
        client.maximum_version = ssl.TLSVersion.TLSv1_2
    sent, came, answers, heard = (ssl.MemoryBIO() for _ in range(4))
    server = server_context(files, minimum=minimum).wrap_bio(came, answers, server_side=True)
    assert isinstance(server, TlsRecords)
    ours = client.wrap_bio(heard, sent, server_hostname="localhost")
    done = {ours: False, server: False}
    while not all(done.values()):
        for end, source, target in ((ours, sent, came), (server, answers, heard)):
            try:
                end.do_handshake()
                done[end] = True
            except ssl.SSLWantReadError:
                pass
            target.write(source.read())
    return Pair(ours, sent, server, came)


@pytest.fixture
def by_hand(files: CertificatePaths, tmp_path: Path) -> tuple[Pair, HandMadeTls]:
    keys = tmp_path / "keys"
    made = pair(files, client=keylogged(files.ca_cert, keys))
    cipher = made.client.cipher()
    assert cipher is not None
    return made, HandMadeTls(keys, cipher[0])


@pytest.mark.parametrize("most", ["1.2", "1.3"])
def test_a_record_is_a_unit_of_work_however_little_it_carries(files: CertificatePaths, most: str) -> None:
    both = pair(files, most=most)
    before = both.server.work
    assert both.go(both.records(*[b"x"] * 5_000)) == b"x" * 5_000
    assert both.server.work - before == 5_000


def test_what_it_carries_is_no_work_of_its_own(files: CertificatePaths) -> None:
    both = pair(files)
    before = both.server.work
    assert len(both.go(both.records(b"x" * 16_384, b"y" * 16_384))) == 32_768
    assert both.server.work - before == 2


def test_memory_is_taken_for_what_a_record_can_carry(files: CertificatePaths) -> None:
    """Loops ask for 256 KiB: taking and giving that back is twelve times the work of deciphering a byte."""
    both = pair(files)
    both.came.write(both.records(b"x"))
    tracemalloc.start()
    try:
        assert both.server.read(262_144) == b"x"
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("most", ["1.2", "1.3"])
@given(
    payloads=st.lists(st.binary(min_size=1, max_size=300) | st.just(b"x" * 16_384), max_size=80),
    cuts=st.lists(st.integers(min_value=1, max_value=40_000)),
)
@settings(max_examples=40, deadline=None)
def test_whatever_pieces_records_come_in_all_is_read(
    files: CertificatePaths, most: str, payloads: list[bytes], cuts: list[int]
) -> None:
    both = pair(files, most=most)
    came = both.records(*payloads)
    found = b""
    for size in cuts:
        found += both.go(came[:size])
        came = came[size:]
    assert found + both.go(came) == b"".join(payloads)


def test_who_asks_for_less_than_a_record_gets_the_rest_later(files: CertificatePaths) -> None:
    both = pair(files)
    both.came.write(both.records(b"abcdef", b"gh"))
    found = [both.server.read(4) for _ in range(3)]
    assert found == [b"abcd", b"ef", b"gh"]
    with pytest.raises(ssl.SSLWantReadError):
        both.server.read(4)


def test_it_stops_where_it_is_told_to_and_goes_on_later(files: CertificatePaths) -> None:
    both = pair(files)
    both.server.at_once = 1_000
    found = both.go(both.records(*[b"x"] * 2_500))
    parts = [len(found)]
    while both.server.stopped:
        both.server.stopped = False
        parts.append(len(both.go()))
    assert sum(parts) == 2_500
    assert all(1_000 <= part < 1_100 for part in parts[:-1])


def test_it_stops_only_behind_something_that_it_gave(files: CertificatePaths) -> None:
    """A loop that was given nothing tells nobody, and nobody would see to it that reading goes on."""
    both = pair(files)
    both.server.at_once = 10
    for _ in range(50):
        assert both.go(both.records(*[b"x"] * 20))
        both.server.stopped = False
    assert both.go() == b""


def test_who_changes_keys_with_each_record_pays_for_it(by_hand: tuple[Pair, HandMadeTls]) -> None:
    both, hand = by_hand
    before = both.server.work
    came = b"".join(hand.new_keys(ask=number % 2 == 1) + hand.data(b"x") for number in range(500))
    assert both.go(came) == b"x" * 500
    assert both.server.work - before == 500 + 500 * 21


def test_a_record_with_nothing_in_it_is_as_much_work(by_hand: tuple[Pair, HandMadeTls]) -> None:
    both, hand = by_hand
    before = both.server.work
    assert both.go(b"".join(hand.data(b"") for _ in range(20)) + hand.data(b"x")) == b"x"
    assert both.server.work - before == 21 + 20 * 20


def test_who_only_changes_keys_is_cut_off(by_hand: tuple[Pair, HandMadeTls]) -> None:
    """9,000 of them, 240 KB, were 90 to 180 ms of the loop, and nobody was charged for it."""
    both, hand = by_hand
    before = both.server.work
    with pytest.raises(ssl.SSLError, match="carry nothing"):
        both.go(b"".join(hand.new_keys() for _ in range(9_000)))
    assert both.server.work - before < 100 * 21


def test_what_is_no_record_is_refused_at_once(files: CertificatePaths) -> None:
    both = pair(files)
    with pytest.raises(ssl.SSLError, match=r"(?i)record|version|length"):
        both.go(b"\x17\x03\x03\xff\xff" + b"x" * 10)


def test_data_right_behind_the_handshake_is_read(files: CertificatePaths) -> None:
    client = ssl.create_default_context(cafile=str(files.ca_cert))
    sent, came, answers, heard = (ssl.MemoryBIO() for _ in range(4))
    server = server_context(files).wrap_bio(came, answers, server_side=True)
    ours = client.wrap_bio(heard, sent, server_hostname="localhost")
    for end, source, target in ((ours, sent, came), (server, answers, heard)):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
        target.write(source.read())
    ours.do_handshake()
    ours.write(b"at once")
    came.write(sent.read())
    server.do_handshake()
    assert server.pending()
    assert server.read(262_144) == b"at once"


def test_the_goodbye_behind_data_is_read(files: CertificatePaths) -> None:
    both = pair(files)
    came = both.records(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        both.client.unwrap()
    both.came.write(came + both.sent.read())
    assert both.server.read(262_144) == b"last"
    assert both.server.pending()
    assert both.server.read(262_144) == b""
    both.server.unwrap()


@pytest.mark.parametrize("way", ["over", "unwrap"])
def test_of_what_comes_after_the_end_little_is_deciphered(files: CertificatePaths, way: str) -> None:
    both = pair(files)
    if way == "over":
        both.server.over()
    else:
        with pytest.raises(ssl.SSLWantReadError):
            both.server.unwrap()
    before = both.server.work
    with pytest.raises(ssl.SSLError, match="after the end"):
        both.go(both.records(*[b"x"] * 5_000))
    assert 1_000 <= both.server.work - before < 1_100
