"""What every codec of stored bytes promises (``storage.codec.BodyCodec``), as tests that any of them runs through.

Subclass ``CodecContract`` in a test module and give it a ``codec`` fixture.
"""

import json
from random import Random

from healthsync_mqtt.storage.codec import BodyCodec

_USERS = ("alice", "bob", "x" * 64)


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
        kept = [(user, data, codec.encode(user, data)) for data in samples() for user in _USERS]
        for user, data, stored in reversed(kept):
            assert codec.decode(user, stored) == data
            assert codec.decode(user, stored) == data

    def test_something_is_stored_for_something(self, codec: BodyCodec) -> None:
        """Absent bytes are told by being absent."""
        for data in samples():
            stored = codec.encode("alice", data)
            assert isinstance(stored, bytes)
            assert stored or not data

    def test_another_codec_of_the_same_kind_reads_it(self, codec: BodyCodec) -> None:
        """As the next run of the service does, and readers in other processes."""
        again = self.another(codec)
        for data in samples():
            assert again.decode("alice", codec.encode("alice", data)) == data

    def another(self, codec: BodyCodec) -> BodyCodec:
        """A codec as another process has it."""
        return type(codec)()
