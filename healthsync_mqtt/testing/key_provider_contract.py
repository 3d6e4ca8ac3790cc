"""What every holder of the outer key promises (``keys.port.KeyProvider``), as tests that any of them runs through.

Subclass ``KeyProviderContract`` in a test module and give it a ``provider`` fixture.
"""

import secrets

import pytest

from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.port import KeyProvider


class KeyProviderContract:
    """The tests."""

    def another(self, provider: KeyProvider) -> KeyProvider:
        """The same holder as another process sees it."""
        return provider

    def may_forget(self) -> bool:
        """Whether this holder lets us destroy older versions."""
        return True

    def is_ours_alone(self) -> bool:
        """Whether the outer key is destroyed with ``remove``."""
        return True

    def test_what_is_unwrapped_is_what_was_wrapped(self, provider: KeyProvider) -> None:
        """In any order, and in another process."""
        keys = [(secrets.token_bytes(32), b"about %d" % number) for number in range(8)]
        wrapped = [provider.wrap(*each) for each in keys]
        again = self.another(provider)
        for (key, about), closed in reversed(list(zip(keys, wrapped, strict=True))):
            assert provider.unwrap(closed, about) == key
            assert again.unwrap(closed, about) == key

    def test_what_is_wrapped_tells_nothing(self, provider: KeyProvider) -> None:
        """Neither the key, nor that it is the same key."""
        key = secrets.token_bytes(32)
        one, other = provider.wrap(key, b"a"), provider.wrap(key, b"a")
        assert one != other
        for closed in (one, other):
            assert all(key[at : at + 8] not in closed for at in range(24))

    def test_about_another_thing_it_is_not_unwrapped(self, provider: KeyProvider) -> None:
        """So wrapped keys cannot change places."""
        closed = provider.wrap(secrets.token_bytes(32), b"alice")
        with pytest.raises(TamperedError):
            provider.unwrap(closed, b"bob")

    def test_a_changed_byte_is_found(self, provider: KeyProvider) -> None:
        """Wherever it is; a version that nobody knows is unavailable, what is no wrapped key is tampered with."""
        closed = provider.wrap(secrets.token_bytes(32), b"alice")
        for at in range(0, len(closed), 7):
            changed = closed[:at] + bytes([closed[at] ^ 1]) + closed[at + 1 :]
            with pytest.raises((TamperedError, KeyUnavailableError)):
                provider.unwrap(changed, b"alice")
        for short in (b"", closed[:1], closed[:-1]):
            with pytest.raises((TamperedError, KeyUnavailableError)):
                provider.unwrap(short, b"alice")

    def test_a_rotation_takes_nothing_away(self, provider: KeyProvider) -> None:
        """What older versions wrapped is unwrapped, and told apart; what is new has the new version."""
        key = secrets.token_bytes(32)
        old = provider.wrap(key, b"a")
        assert provider.version(old) == provider.newest()
        provider.rotate()
        assert provider.version(old) != provider.newest()
        assert provider.unwrap(old, b"a") == key
        new = provider.wrap(key, b"a")
        assert provider.version(new) == provider.newest()
        again = self.another(provider)
        assert (again.unwrap(old, b"a"), again.unwrap(new, b"a")) == (key, key)
        assert again.version(old) != again.newest()
        assert again.version(new) == again.newest()

    def test_another_process_wraps_with_the_newest(self, provider: KeyProvider) -> None:
        """Also one that had begun before: else its key would be lost when the older version is."""
        other = self.another(provider)
        before = other.wrap(secrets.token_bytes(32), b"a")
        provider.rotate()
        assert other.version(other.wrap(secrets.token_bytes(32), b"a")) == other.newest()
        assert other.version(before) != other.newest()

    def test_what_is_forgotten_is_gone(self, provider: KeyProvider) -> None:
        """And the newest version is not."""
        key = secrets.token_bytes(32)
        old = provider.wrap(key, b"a")
        provider.rotate()
        new = provider.wrap(key, b"a")
        provider.forget_older(provider.newest())
        assert provider.unwrap(new, b"a") == key
        assert self.another(provider).unwrap(new, b"a") == key
        if self.may_forget():
            with pytest.raises(KeyUnavailableError):
                provider.unwrap(old, b"a")

    def test_what_was_the_newest_is_kept_when_another_process_has_rotated(self, provider: KeyProvider) -> None:
        """Whoever forgets has seen that nothing needs what is older than that one, and not more."""
        key = secrets.token_bytes(32)
        closed, newest = provider.wrap(key, b"a"), provider.newest()
        self.another(provider).rotate()
        provider.forget_older(newest)
        assert provider.unwrap(closed, b"a") == key
        assert self.another(provider).unwrap(closed, b"a") == key

    def test_what_is_removed_wraps_nothing_more(self, provider: KeyProvider) -> None:
        """In no process: what was wrapped with a key that is gone would be lost. May be done again."""
        key, other = secrets.token_bytes(32), self.another(provider)
        closed = other.wrap(key, b"a")
        provider.remove()
        provider.remove()
        if not self.is_ours_alone():
            assert other.unwrap(closed, b"a") == key
            return
        for each in (provider, other):
            with pytest.raises(KeyUnavailableError):
                each.wrap(key, b"a")
            with pytest.raises(KeyUnavailableError):
                each.unwrap(closed, b"a")

    def test_it_has_a_name_and_looks_at_itself(self, provider: KeyProvider) -> None:
        """The name is kept beside each key, so another process gives the same."""
        provider.check()
        assert provider.name
        assert provider.name == self.another(provider).name
