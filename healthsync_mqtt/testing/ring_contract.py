"""What the ring promises (``keys.ring.KeyRing``), as tests that any provider behind it runs through.

Subclass ``RingContract`` in a test module and give it a ``ring`` fixture and ``another``: the ring in another process.
"""

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from healthsync_mqtt.keys.faults import KeyDestroyedError, KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.ring import KeyRing

_DATA = b'{"bpm": 72}'
_PLACE = b"row 7"


class RingContract:
    """The tests."""

    def another(self, ring: KeyRing) -> KeyRing:
        """The same ring as another process has it."""
        raise NotImplementedError

    def files(self, ring: KeyRing) -> list[Path]:
        """Every file that the ring's keys lie in."""
        raise NotImplementedError

    def wrapped(self, ring: KeyRing, user: str) -> bytes:
        """A user's key as it lies in the file."""
        with closing(sqlite3.connect(next(path for path in self.files(ring) if path.suffix == ".db"))) as book:
            (wrapped,) = book.execute("SELECT wrapped FROM data_key WHERE owner = ?", (f"user:{user}",)).fetchone()
            return bytes(wrapped)

    def test_a_key_that_is_lost_is_not_taken_for_one_that_was_destroyed(self, ring: KeyRing) -> None:
        """An older copy of the file was put back, say: what it lacks may come again."""
        sealed = ring.seal("alice", _DATA, _PLACE)
        with closing(sqlite3.connect(next(path for path in self.files(ring) if path.suffix == ".db"))) as book, book:
            book.execute("DELETE FROM data_key")
        with pytest.raises(KeyUnavailableError):
            self.another(ring).open("alice", sealed, _PLACE)

    def test_what_is_opened_is_what_was_sealed(self, ring: KeyRing) -> None:
        """Whatever it is and whoever's, here and in another process."""
        chance = Random(1)  # noqa: S311  # the same for everybody
        data = [b"", b"\0", _DATA, bytes(range(256)), chance.randbytes(100_000)]
        kept = [(user, each, ring.seal(user, each, _PLACE)) for each in data for user in ("alice", "bob", "x" * 64)]
        again = self.another(ring)
        for user, each, sealed in reversed(kept):
            assert ring.open(user, sealed, _PLACE) == each
            assert again.open(user, sealed, _PLACE) == each

    def test_sealed_bytes_tell_nothing(self, ring: KeyRing) -> None:
        """Not the bytes, not whose they are, not that two are equal."""
        one, other = ring.seal("alice", _DATA, _PLACE), ring.seal("alice", _DATA, _PLACE)
        assert one != other
        for sealed in (one, other):
            assert _DATA[:4] not in sealed
            assert b"alice" not in sealed

    def test_another_user_opens_nothing(self, ring: KeyRing) -> None:
        """A user who has a key, and one who has none."""
        sealed = ring.seal("alice", _DATA, _PLACE)
        ring.seal("bob", _DATA, _PLACE)
        for user in ("bob", "carol", ""):
            with pytest.raises(TamperedError):
                ring.open(user, sealed, _PLACE)

    def test_in_another_place_nothing_is_opened(self, ring: KeyRing) -> None:
        """Bytes that were put into another row are not that row's."""
        sealed = ring.seal("alice", _DATA, _PLACE)
        for place in (b"row 8", b"", _PLACE + b"\0", b"r" + _PLACE):
            with pytest.raises(TamperedError):
                ring.open("alice", sealed, place)

    def test_every_flipped_bit_is_found(self, ring: KeyRing) -> None:
        """Never another value, and never taken for a key that was destroyed."""
        sealed = ring.seal("alice", _DATA, _PLACE)
        for bit in range(8 * len(sealed)):
            changed = bytearray(sealed)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(TamperedError):
                ring.open("alice", bytes(changed), _PLACE)
        for length in range(len(sealed)):
            with pytest.raises(TamperedError):
                ring.open("alice", sealed[:length], _PLACE)

    def test_what_is_destroyed_is_gone_for_everybody(self, ring: KeyRing) -> None:
        """Also for who had the key in memory, after ``refresh``; nobody else's is."""
        mine, theirs = ring.seal("alice", _DATA, _PLACE), ring.seal("bob", _DATA, _PLACE)
        other = self.another(ring)
        assert other.open("alice", mine, _PLACE) == _DATA
        assert ring.destroy("alice")
        assert not ring.destroy("alice")
        other.refresh()
        for each in (ring, other, self.another(ring)):
            with pytest.raises(KeyDestroyedError):
                each.open("alice", mine, _PLACE)
            assert each.open("bob", theirs, _PLACE) == _DATA

    def test_who_comes_back_has_another_key(self, ring: KeyRing) -> None:
        """What was sealed before stays gone."""
        mine = ring.seal("alice", _DATA, _PLACE)
        other = self.another(ring)
        other.seal("alice", _DATA, _PLACE)
        ring.destroy("alice")
        other.refresh()
        again = other.seal("alice", b"new", _PLACE)
        assert ring.open("alice", again, _PLACE) == b"new"
        with pytest.raises(KeyDestroyedError):
            ring.open("alice", mine, _PLACE)

    def test_a_destroyed_key_is_in_no_file(self, ring: KeyRing) -> None:
        """Neither as it was wrapped, nor its owner's name."""
        name = f"u{secrets.token_hex(8)}"
        ring.seal(name, _DATA, _PLACE)
        wrapped = self.wrapped(ring, name)
        for each in (name.encode(), wrapped):
            assert any(each in path.read_bytes() for path in self.files(ring))
        ring.destroy(name)
        for path in self.files(ring):
            content = path.read_bytes()
            assert name.encode() not in content
            assert all(wrapped[at : at + 16] not in content for at in range(len(wrapped) - 15))

    def test_a_renewed_key_leaves_the_older_open(self, ring: KeyRing) -> None:
        """And another process seals with the new one after ``refresh``."""
        old = ring.seal("alice", _DATA, _PLACE)
        other = self.another(ring)
        other.seal("alice", _DATA, _PLACE)
        ring.renew("alice")
        new = ring.seal("alice", _DATA, _PLACE)
        assert new[1:9] != old[1:9]
        other.refresh()
        assert other.seal("alice", _DATA, _PLACE)[1:9] == new[1:9]
        for each in (ring, other):
            assert (each.open("alice", old, _PLACE), each.open("alice", new, _PLACE)) == (_DATA, _DATA)
        assert ring.destroy("alice")
        for sealed in (old, new):
            with pytest.raises(KeyDestroyedError):
                ring.open("alice", sealed, _PLACE)

    def test_two_processes_make_one_key(self, ring: KeyRing) -> None:
        """Whoever is second takes the first one's."""
        other = self.another(ring)
        assert ring.seal("alice", _DATA, _PLACE)[1:9] == other.seal("alice", _DATA, _PLACE)[1:9]
        assert ring.facts().users == 1

    def test_parts_of_the_service_have_keys_of_their_own(self, ring: KeyRing) -> None:
        """A user of the same name is somebody else, and destroys nothing of theirs."""
        sealed = ring.seal_service("sinks", _DATA, _PLACE)
        assert self.another(ring).open_service("sinks", sealed, _PLACE) == _DATA
        with pytest.raises(TamperedError):
            ring.open("sinks", sealed, _PLACE)
        with pytest.raises(TamperedError):
            ring.open_service("providers", sealed, _PLACE)
        ring.seal("sinks", _DATA, _PLACE)
        ring.destroy("sinks")
        assert ring.open_service("sinks", sealed, _PLACE) == _DATA
        assert ring.destroy_service("sinks")
        with pytest.raises(KeyDestroyedError):
            ring.open_service("sinks", sealed, _PLACE)

    def test_a_rotation_touches_no_data(self, ring: KeyRing) -> None:
        """Everything opens as before, here and elsewhere; a user's key stays the same."""
        kept = {user: ring.seal(user, user.encode(), _PLACE) for user in ("alice", "bob", "carol")}
        other = self.another(ring)
        assert ring.facts().behind == 0
        assert ring.rotate() == 3
        assert ring.facts().behind == 0
        assert ring.rewrap() == 0
        for each in (ring, other, self.another(ring)):
            for user, sealed in kept.items():
                assert each.open(user, sealed, _PLACE) == user.encode()
                assert each.seal(user, b"", _PLACE)[1:9] == sealed[1:9]
        assert ring.check() == 3

    def test_marks_are_equal_for_equal_bytes_of_one_user(self, ring: KeyRing) -> None:
        """And for nothing else: nobody without the key can try out what is behind one."""
        ring.seal("alice", _DATA, _PLACE)
        mark = ring.mark("alice", _DATA)
        assert self.another(ring).mark("alice", _DATA) == mark
        assert ring.mark("bob", _DATA) != mark
        assert ring.mark("alice", _DATA + b" ") != mark
        assert ring.mark_service("alice", _DATA) != mark
        assert self.another(ring).mark_service("alice", _DATA) == ring.mark_service("alice", _DATA)

    def test_a_renewed_key_leaves_marks_as_they_were(self, ring: KeyRing) -> None:
        """Rows are found by them, and no mark says which key made it. A destroyed key's are made by nobody again."""
        mark = ring.mark("alice", _DATA)
        ring.renew("alice")
        assert ring.mark("alice", _DATA) == self.another(ring).mark("alice", _DATA) == mark
        ring.destroy("alice")
        assert ring.mark("alice", _DATA) != mark
