"""The contract of codecs of stored bytes: the one with keys and one that masks; and that it can fail."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from healthsync_mqtt.keys.book import KeyBook
from healthsync_mqtt.keys.faults import TamperedError
from healthsync_mqtt.keys.ring import KeyRing
from healthsync_mqtt.storage.codec import BodyCodec, KeyCodec
from healthsync_mqtt.testing.codec_contract import CodecContract
from healthsync_mqtt.testing.masking_codec import MaskingCodec
from healthsync_mqtt.testing.memory_provider import MemoryProvider


class TestMaskingCodec(CodecContract):
    @pytest.fixture
    def codec(self) -> BodyCodec:
        return MaskingCodec()


class TestKeyCodec(CodecContract):
    @pytest.fixture
    def codec(self, tmp_path: Path) -> BodyCodec:
        self.path, self.provider = tmp_path / "keys.db", MemoryProvider()
        return self.another()

    def another(self, codec: BodyCodec | None = None) -> BodyCodec:
        def ring() -> KeyRing:
            return KeyRing(KeyBook(self.path), {"memory": self.provider}, "memory")

        return KeyCodec(ring, ring)


def test_the_masking_one_leaves_nothing_readable_and_takes_nothing_that_it_has_not_made() -> None:
    codec = MaskingCodec()
    assert b"marker" not in codec.encode("alice", b"a marker", b"")
    assert codec.encode("alice", b"same", b"") != codec.encode("bob", b"same", b"")
    with pytest.raises(TamperedError, match="not passed"):
        codec.decode("alice", b"as it was", b"")


class Tidy(MaskingCodec):
    def encode(self, user: str, data: bytes, place: bytes) -> bytes:
        return super().encode(user, data.rstrip(b"\xff"), place)


class LastUser(MaskingCodec):
    """Keeps one mask, of whoever came last."""

    last = ""

    def encode(self, user: str, data: bytes, place: bytes) -> bytes:
        self.last = user
        return super().encode(user, data, place)

    def decode(self, user: str, stored: bytes, place: bytes) -> bytes:
        return super().decode(self.last, stored, place)


class Absent(MaskingCodec):
    def encode(self, user: str, data: bytes, place: bytes) -> bytes:
        return b"" if data == b"{}" else super().encode(user, data, place)


class Clear(MaskingCodec):
    """Checks, and hides nothing."""

    def encode(self, user: str, data: bytes, place: bytes) -> bytes:
        return super().encode(user, data, place) + data

    def decode(self, user: str, stored: bytes, place: bytes) -> bytes:
        return super().decode(user, stored[: 15 + (len(stored) - 15) // 2], place)


class Anywhere(MaskingCodec):
    def encode(self, user: str, data: bytes, place: bytes) -> bytes:
        return super().encode(user, data, b"")

    def decode(self, user: str, stored: bytes, place: bytes) -> bytes:
        return super().decode(user, stored, b"")


class FirstEncoder(MaskingCodec):
    """Its runs are all of the first user's."""

    first: Callable[[bytes, bytes], bytes] | None = None

    def encoder(self, user: str) -> Callable[[bytes, bytes], bytes]:
        self.first = self.first or super().encoder(user)
        return self.first


class OneMark(MaskingCodec):
    def mark(self, user: str, data: bytes) -> bytes:
        return super().mark("", data)


class OfThisRun(MaskingCodec):
    """Its mask is not written down anywhere."""

    def __init__(self) -> None:
        self._run = secrets.token_hex()

    def encode(self, user: str, data: bytes, place: bytes) -> bytes:
        return super().encode(user + self._run, data, place)

    def decode(self, user: str, stored: bytes, place: bytes) -> bytes:
        return super().decode(user + self._run, stored, place)


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (Tidy, CodecContract.test_what_comes_out_is_what_went_in),
        (LastUser, CodecContract.test_what_comes_out_is_what_went_in),
        (FirstEncoder, CodecContract.test_a_run_of_one_user_is_as_each_alone),
        (Absent, CodecContract.test_something_is_stored),
        (Clear, CodecContract.test_what_is_stored_shows_nothing),
        (Anywhere, CodecContract.test_what_is_not_as_it_was_made_is_found),
        (OneMark, CodecContract.test_marks_are_equal_for_equal_bytes_of_one_user),
        (OfThisRun, CodecContract.test_another_codec_of_the_same_kind_reads_it),
    ],
)
def test_a_codec_with_a_fault_does_not_pass(
    broken: Callable[[], BodyCodec], clause: Callable[[CodecContract, BodyCodec], None]
) -> None:
    with pytest.raises((AssertionError, TamperedError, pytest.fail.Exception)):
        clause(CodecContract(), broken())
