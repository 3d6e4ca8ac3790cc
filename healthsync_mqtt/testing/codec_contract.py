"""What every codec of stored bytes promises (``storage.codec.BodyCodec``), as tests that any of them runs through.

Subclass ``CodecContract`` in a test module and give it a ``codec`` fixture.
"""

import json
from random import Random

import pytest

from healthsync_mqtt.keys.faults import TamperedError
from healthsync_mqtt.storage.codec import BodyCodec

_USERS = ("alice", "bob", "x" * 64)
_PLACE = b"row 7"


def samples() -> list[bytes]:
    """Bytes of all kinds: none, one, text, every value, compressed ones, many."""
    chance = Random(1)  # noqa: S311  # the same for everybody
    return [
        b"",
        b"\0",
        b"{}",
        json.dumps({"value": {"bpm": 60}}).encode(),
        bytes(range(256)),
        b"\x1f\x8b\x08",
        chance.randbytes(100_000),
    ]


class CodecContract:
    """The tests."""

    def test_what_comes_out_is_what_went_in(self, codec: BodyCodec) -> None:
        """Whatever it is, whoever's, in any order, as often as one likes."""
        kept = [(user, data, codec.encode(user, data, _PLACE)) for data in samples() for user in _USERS]
        for user, data, stored in reversed(kept):
            assert codec.decode(user, stored, _PLACE) == data
            assert codec.decode(user, stored, _PLACE) == data

    def test_a_run_of_one_user_is_as_each_alone(self, codec: BodyCodec) -> None:
        """Also of several users in turn."""
        encoders = {user: codec.encoder(user) for user in _USERS}
        for data in samples():
            for user in _USERS:
                assert codec.decode(user, encoders[user](data, _PLACE), _PLACE) == data

    def test_something_is_stored(self, codec: BodyCodec) -> None:
        """Absent bytes are told by being absent."""
        for data in samples():
            stored = codec.encode("alice", data, _PLACE)
            assert isinstance(stored, bytes)
            assert stored

    def test_what_is_stored_shows_nothing(self, codec: BodyCodec) -> None:
        """No eight bytes of what was given."""
        data = json.dumps({"value": {"bpm": 60}, "note": "a marker"}).encode()
        stored = codec.encode("alice", data, _PLACE)
        assert all(data[at : at + 8] not in stored for at in range(len(data) - 7))

    def test_what_is_not_as_it_was_made_is_found(self, codec: BodyCodec) -> None:
        """Bytes of another user, of another place, and with one bit changed."""
        stored = codec.encode("alice", b"as it was", _PLACE)
        codec.encode("bob", b"as it was", _PLACE)
        changed = [
            stored[: bit // 8] + bytes([stored[bit // 8] ^ 1 << bit % 8]) + stored[bit // 8 + 1 :]
            for bit in range(8 * len(stored))
        ]
        for user, bytes_, place in (
            ("bob", stored, _PLACE),
            ("alice", stored, b"row 8"),
            ("alice", b"as it was", _PLACE),
            *(("alice", each, _PLACE) for each in changed),
        ):
            with pytest.raises(TamperedError):
                codec.decode(user, bytes_, place)

    def test_marks_are_equal_for_equal_bytes_of_one_user(self, codec: BodyCodec) -> None:
        """And for nothing else."""
        mark = codec.mark("alice", b"same")
        assert len(mark) == 16
        assert codec.mark("alice", b"same") == mark == self.another(codec).mark("alice", b"same")
        assert mark not in {codec.mark("bob", b"same"), codec.mark("alice", b"other")}

    def test_what_can_be_opened_is_not_gone(self, codec: BodyCodec) -> None:
        """Also as another process has it, which has opened nothing yet."""
        stored = codec.encode("alice", b"as it was", _PLACE)
        assert not codec.is_gone(stored)
        assert not self.another(codec).is_gone(stored)

    def test_another_codec_of_the_same_kind_reads_it(self, codec: BodyCodec) -> None:
        """As the next run of the service does, and readers in other processes."""
        again = self.another(codec)
        for data in samples():
            assert again.decode("alice", codec.encode("alice", data, _PLACE), _PLACE) == data

    def another(self, codec: BodyCodec) -> BodyCodec:
        """A codec as another process has it."""
        return type(codec)()
