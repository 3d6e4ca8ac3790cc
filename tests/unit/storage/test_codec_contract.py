"""The contract of codecs of stored bytes: the plain one and one that changes every byte; and that it can fail."""

import secrets
from collections.abc import Callable

import pytest

from healthsync_mqtt.storage.codec import BodyCodec, PlainCodec
from healthsync_mqtt.testing.codec_contract import CodecContract
from healthsync_mqtt.testing.masking_codec import MaskingCodec


@pytest.mark.parametrize("kind", [PlainCodec, MaskingCodec])
class TestCodecs(CodecContract):
    @pytest.fixture
    def codec(self, kind: Callable[[], BodyCodec]) -> BodyCodec:
        return kind()


def test_the_masking_one_leaves_nothing_readable_and_takes_nothing_that_it_has_not_made() -> None:
    codec = MaskingCodec()
    assert b"marker" not in codec.encode("alice", b"a marker")
    assert codec.encode("alice", b"same") != codec.encode("bob", b"same")
    with pytest.raises(ValueError, match="not passed"):
        codec.decode("alice", b"as it was")


class Tidy(PlainCodec):
    def encode(self, user: str, data: bytes) -> bytes:
        return data.rstrip(b"\xff")


class LastUser(MaskingCodec):
    """Keeps one mask, of whoever came last."""

    last = ""

    def encode(self, user: str, data: bytes) -> bytes:
        self.last = user
        return super().encode(user, data)

    def decode(self, user: str, stored: bytes) -> bytes:
        return super().decode(self.last, stored)


class Absent(PlainCodec):
    def encode(self, user: str, data: bytes) -> bytes:
        return b"" if data == b"{}" else data


class OfThisRun(MaskingCodec):
    """Its mask is not written down anywhere."""

    def __init__(self) -> None:
        self._run = secrets.token_hex()

    def encode(self, user: str, data: bytes) -> bytes:
        return super().encode(user + self._run, data)

    def decode(self, user: str, stored: bytes) -> bytes:
        return super().decode(user + self._run, stored)


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (Tidy, CodecContract.test_what_comes_out_is_what_went_in),
        (LastUser, CodecContract.test_what_comes_out_is_what_went_in),
        (Absent, CodecContract.test_something_is_stored_for_something),
        (OfThisRun, CodecContract.test_another_codec_of_the_same_kind_reads_it),
    ],
)
def test_a_codec_with_a_fault_does_not_pass(
    broken: Callable[[], BodyCodec], clause: Callable[[CodecContract, BodyCodec], None]
) -> None:
    with pytest.raises(AssertionError):
        clause(CodecContract(), broken())
