"""The ring through its contract, with each provider of ours behind it; what it does while one is away."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from healthsync_mqtt.config.secrets import KEY_PASSPHRASE
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.keys import opening
from healthsync_mqtt.keys.book import KeyBook
from healthsync_mqtt.keys.faults import KeyDestroyedError, KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.local_provider import LocalProvider, PassphraseLock
from healthsync_mqtt.keys.opening import has_ring, providers, ring_made_if_missing, ring_of
from healthsync_mqtt.keys.ring import KeyRing
from healthsync_mqtt.testing.memory_provider import MemoryProvider
from healthsync_mqtt.testing.ring_contract import RingContract


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PassphraseLock, "_SCRYPT", {"n": 2, "r": 8, "p": 1})


class TestRing(RingContract):
    """With a provider in memory."""

    @pytest.fixture
    def ring(self, tmp_path: Path) -> KeyRing:
        self.path, self.provider = tmp_path / "keys.db", MemoryProvider()
        return self.another()

    def another(self, ring: KeyRing | None = None) -> KeyRing:
        return KeyRing(KeyBook(self.path), {"memory": self.provider}, "memory")

    def files(self, ring: KeyRing) -> list[Path]:
        return [path for path in self.path.parent.iterdir() if path.is_file()]


class TestRingOfADataDirectory(RingContract):
    """With the outer key in a file of the data directory."""

    @pytest.fixture
    def ring(self, tmp_path: Path) -> KeyRing:
        self.data = tmp_path
        return ring_made_if_missing(tmp_path)

    def another(self, ring: KeyRing) -> KeyRing:
        book = KeyBook.existing(self.data / "keys.db")
        return KeyRing(book, providers(self.data), book.facts()["provider"])

    def files(self, ring: KeyRing) -> list[Path]:
        return [path for path in self.data.rglob("*") if path.is_file()]


class TestRingUnderAPassphrase(TestRingOfADataDirectory):
    """With the outer key under a passphrase."""

    @pytest.fixture
    def ring(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyRing:
        monkeypatch.setenv(KEY_PASSPHRASE, "correct horse")
        self.data = tmp_path
        return ring_made_if_missing(tmp_path)


def ring_on(path: Path, provider: MemoryProvider) -> KeyRing:
    """A ring as a process has it."""
    return KeyRing(KeyBook(path), {provider.name: provider}, provider.name)


def test_while_the_provider_is_away_what_is_unlocked_goes_on(tmp_path: Path) -> None:
    """The rest is refused as retryable, with whose key it was; nothing is kept of it."""
    provider = MemoryProvider()
    ring = ring_on(tmp_path / "keys.db", provider)
    sealed = ring.seal("alice", b"a", b"")
    other = ring_on(tmp_path / "keys.db", provider)
    provider.away = True
    assert ring.open("alice", ring.seal("alice", b"b", b""), b"") == b"b"
    assert ring.open("alice", sealed, b"") == b"a"
    with pytest.raises(KeyUnavailableError) as new:
        ring.seal("bob", b"b", b"")
    with pytest.raises(KeyUnavailableError) as locked:
        other.open("alice", sealed, b"")
    assert new.value.retryable
    assert (new.value.owner, locked.value.owner) == ("user:bob", "user:alice")
    assert KeyBook(tmp_path / "keys.db").count() == {"memory": 1}
    provider.away = False
    assert ring.open("bob", ring.seal("bob", b"b", b""), b"") == b"b"
    assert other.open("alice", sealed, b"") == b"a"


def test_a_provider_is_asked_once_for_a_key(tmp_path: Path) -> None:
    provider = MemoryProvider()
    ring = ring_on(tmp_path / "keys.db", provider)
    ring.seal("alice", b"a", b"")
    asked = provider.asked
    for _ in range(10):
        ring.open("alice", ring.seal("alice", b"a", b""), b"")
    assert provider.asked == asked


def test_a_provider_is_asked_once_which_version_is_the_newest(tmp_path: Path) -> None:
    """It may be a service on the network: not once for every user."""
    provider = MemoryProvider()
    ring = ring_on(tmp_path / "keys.db", provider)
    for number in range(30):
        ring.seal(f"user{number}", b"a", b"")
    asked = provider.asked
    assert ring.facts().behind == 0
    assert provider.asked == asked + 1
    assert ring.rewrap() == 0
    assert provider.asked == asked + 4, "to wrap, to see that all are, and to forget"


def test_a_rotation_between_the_last_look_and_the_forgetting_loses_nothing(tmp_path: Path) -> None:
    """By another process, or by the holder itself, as Vault does after so many days."""

    class Rotating(MemoryProvider):
        def forget_older(self, newest: str) -> None:
            self.rotate()
            super().forget_older(newest)

    provider = Rotating()
    ring = ring_on(tmp_path / "keys.db", provider)
    sealed = ring.seal("alice", b"a", b"")
    assert ring.rotate() == 1
    again = ring_on(tmp_path / "keys.db", provider)
    assert again.open("alice", sealed, b"") == b"a"
    assert again.facts().behind == 1


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("after", range(6))
def test_a_rotation_that_is_killed_anywhere_loses_nothing(tmp_path: Path, after: int) -> None:
    class Dying(MemoryProvider):
        left = 1_000

        def wrap(self, key: bytes, about: bytes) -> bytes:
            self.left -= 1
            if self.left < 0:
                raise Killed
            return super().wrap(key, about)

    provider = Dying()
    ring = ring_on(tmp_path / "keys.db", provider)
    kept = {user: ring.seal(user, user.encode(), b"") for user in ("a", "b", "c", "d", "e")}
    provider.left = after
    if after < len(kept):
        with pytest.raises(Killed):
            ring.rotate()
    else:
        assert ring.rotate() == len(kept)
    provider.left = 1_000
    again = ring_on(tmp_path / "keys.db", provider)
    assert all(again.open(user, sealed, b"") == user.encode() for user, sealed in kept.items())
    assert again.facts().behind == len(kept) - after
    assert again.rewrap() == len(kept) - after
    assert all(ring_on(tmp_path / "keys.db", provider).open(u, s, b"") == u.encode() for u, s in kept.items())


def test_a_key_that_comes_while_all_are_wrapped_anew_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is wrapped with an older version, by who had not heard of the newer: that is not forgotten before."""
    provider, older = MemoryProvider(), MemoryProvider()
    older.outer = provider.outer
    ring = ring_on(tmp_path / "keys.db", provider)
    kept = {"early": ring.seal("early", b"early", b"")}
    wrap_all = KeyRing._rewrap_all

    def and_then(self: KeyRing) -> int:
        wrapped = wrap_all(self)
        if "late" not in kept:
            kept["late"] = ring_on(tmp_path / "keys.db", older).seal("late", b"late", b"")
        return wrapped

    monkeypatch.setattr(KeyRing, "_rewrap_all", and_then)
    assert ring.rotate() == 2
    again = ring_on(tmp_path / "keys.db", provider)
    assert all(again.open(user, sealed, b"") == user.encode() for user, sealed in kept.items())
    assert len(provider.outer.versions) == 1


def test_keys_move_to_another_provider(tmp_path: Path) -> None:
    old, new = MemoryProvider("old"), MemoryProvider("new")
    ring = ring_on(tmp_path / "keys.db", old)
    sealed = ring.seal("alice", b"a", b"")
    assert ring.rewrap(new) == 1
    old.away = True
    again = ring_on(tmp_path / "keys.db", new)
    assert again.open("alice", sealed, b"") == b"a"
    assert again.facts().provider == "new"
    assert KeyBook(tmp_path / "keys.db").facts()["provider"] == "new"


def test_a_key_that_comes_while_the_provider_changes_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The former one's outer key goes when nothing is wrapped with it, and then nobody can wrap with it any more."""
    old, new = MemoryProvider("old"), MemoryProvider("new")
    ring = ring_on(tmp_path / "keys.db", old)
    kept = {"early": ring.seal("early", b"early", b"")}
    stale, too_late = (KeyRing(KeyBook(tmp_path / "keys.db"), {"old": old, "new": new}, "old") for _ in range(2))
    wrap_all = KeyRing._rewrap_all

    def and_then(self: KeyRing) -> int:
        wrapped = wrap_all(self)
        assert not old.removed
        if "late" not in kept:
            kept["late"] = stale.seal("late", b"late", b"")
        return wrapped

    monkeypatch.setattr(KeyRing, "_rewrap_all", and_then)
    assert ring.rewrap(new) == 2
    assert old.removed
    with pytest.raises(KeyUnavailableError):
        too_late.seal("later", b"later", b"")
    too_late.refresh()
    kept["later"] = too_late.seal("later", b"later", b"")
    again = ring_on(tmp_path / "keys.db", new)
    assert all(again.open(user, sealed, b"") == user.encode() for user, sealed in kept.items())


def test_what_a_killed_change_of_providers_left_goes_with_the_next(tmp_path: Path) -> None:
    old, new = MemoryProvider("old"), MemoryProvider("new")
    ring_on(tmp_path / "keys.db", old).seal("alice", b"a", b"")
    old.remove, removed = lambda: removed.append("old"), list[str]()  # type: ignore[method-assign]
    KeyRing(KeyBook(tmp_path / "keys.db"), {"old": old, "new": new}, "new").rotate()
    assert removed == ["old"]
    assert not new.removed


def test_a_provider_that_does_not_work_takes_nothing_over(tmp_path: Path) -> None:
    old, new = MemoryProvider("old"), MemoryProvider("new")
    ring = ring_on(tmp_path / "keys.db", old)
    ring.seal("alice", b"a", b"")
    new.away = True
    with pytest.raises(KeyUnavailableError):
        ring.rewrap(new)
    assert KeyBook(tmp_path / "keys.db").count() == {"old": 1}
    assert ring.facts().provider == "old"


def test_wrapped_keys_do_not_change_places(tmp_path: Path) -> None:
    """Whoever may write the file gives nobody another user's key."""
    provider = MemoryProvider()
    ring = ring_on(tmp_path / "keys.db", provider)
    sealed = ring.seal("alice", b"a", b"")
    ring.seal("bob", b"b", b"")
    book = KeyBook(tmp_path / "keys.db")
    one, other = book.after(0, 2)
    assert book.rewrap(one, one.provider, other.wrapped)
    with pytest.raises(TamperedError):
        ring_on(tmp_path / "keys.db", provider).open("alice", sealed, b"")


def test_a_data_directory_has_one_ring_in_a_process(tmp_path: Path) -> None:
    assert not has_ring(tmp_path)
    with pytest.raises(UnavailableError, match="no data keys"):
        ring_of(tmp_path)
    ring = ring_made_if_missing(tmp_path)
    assert ring_of(tmp_path) is ring_made_if_missing(tmp_path / "." / "") is ring
    for name in ("keys.db", "keys/outer.json"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", ["create", "check", "set_fact", "sync_directory"])
def test_a_first_start_that_is_killed_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def die(*_: object) -> None:
        raise Killed

    owner = {"create": LocalProvider, "check": LocalProvider, "set_fact": KeyBook}.get(step, opening)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, die)
        with pytest.raises(Killed):
            ring_made_if_missing(tmp_path)
    ring = ring_made_if_missing(tmp_path)
    sealed = ring.seal("alice", b"a", b"")
    assert ring_made_if_missing(tmp_path).open("alice", sealed, b"") == b"a"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [".lock", "keys.db"]


def test_the_ring_is_under_the_passphrase_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_PASSPHRASE, "correct horse")
    ring = ring_made_if_missing(tmp_path)
    sealed = ring.seal("alice", b"a", b"")
    assert ring.facts().provider == "passphrase"
    assert not (tmp_path / "keys" / "outer.json").exists()
    del ring
    monkeypatch.delenv(KEY_PASSPHRASE)
    with pytest.raises(KeyUnavailableError, match="there is none"):
        ring_of(tmp_path).open("alice", sealed, b"")


def two_holders(tmp_path: Path) -> tuple[KeyRing, MemoryProvider, MemoryProvider]:
    """alice and a part of the service under one that is gone later, bob under another."""
    gone, kept = MemoryProvider("gone"), MemoryProvider("kept")
    book = KeyBook(tmp_path / "keys.db")
    KeyRing(book, {"gone": gone}, "gone").key("alice")
    KeyRing(book, {"gone": gone}, "gone").seal_service("sinks", b"x", b"")
    KeyRing(book, {"kept": kept}, "kept").key("bob")
    return KeyRing(book, {"gone": gone, "kept": kept}, "kept"), gone, kept


def test_what_is_lost_for_good_is_given_up_and_the_rest_opens(tmp_path: Path) -> None:
    ring, gone, kept = two_holders(tmp_path)
    mine, theirs = ring.seal("alice", b"a", b""), ring.seal("bob", b"b", b"")
    assert ring.lost().keys == ()
    gone.away = True
    gone.asked = 0
    lost = ring.lost()
    assert (len(lost.keys), lost.users, str(lost.fault)) == (2, 1, "the provider is away")
    assert gone.asked == 2, "it is asked for one of them, and whether it is there at all"
    with pytest.raises(KeyUnavailableError):
        ring.rewrap()
    assert ring.give_up(lost) == 2
    for each in (ring, KeyRing(KeyBook(tmp_path / "keys.db"), {"kept": kept}, "kept")):
        with pytest.raises(KeyDestroyedError):
            each.open("alice", mine, b"")
        assert each.open("bob", theirs, b"") == b"b"
        assert each.lost().keys == ()
    assert (ring.rewrap(), kept.removed) == (0, False)
    assert ring.open("alice", ring.seal("alice", b"new", b""), b"") == b"new"


def test_a_key_that_is_damaged_is_lost_alone(tmp_path: Path) -> None:
    ring, _, kept = two_holders(tmp_path)
    with closing(sqlite3.connect(tmp_path / "keys.db")) as file, file:
        file.execute("UPDATE data_key SET wrapped = zeroblob(60) WHERE owner = 'user:alice'")
    lost = ring.lost()
    assert [key.owner for key in lost.keys] == ["user:alice"]
    assert isinstance(lost.fault, TamperedError)
    assert ring.give_up(lost) == 1
    assert not kept.removed, "it works"
    assert ring.check() == 2


def test_one_answer_that_was_lost_on_its_way_is_no_key_that_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring, gone, _ = two_holders(tmp_path)
    real, fail = gone.unwrap, [True]

    def unwrap(wrapped: bytes, about: bytes) -> bytes:
        if fail.pop() if fail else False:
            raise KeyUnavailableError("nothing was heard")
        return real(wrapped, about)

    monkeypatch.setattr(gone, "unwrap", unwrap)
    assert ring.lost().keys == ()
    assert fail == []


def test_a_key_that_was_wrapped_anew_meanwhile_is_not_given_up(tmp_path: Path) -> None:
    ring, gone, _ = two_holders(tmp_path)
    gone.away = True
    lost = ring.lost()
    gone.away = False
    ring.rewrap()
    assert ring.give_up(lost) == 0
    assert ring.check() == 3


def test_an_outer_key_of_ours_that_is_no_use_is_made_anew_once_nothing_is_under_it(tmp_path: Path) -> None:
    sealed = ring_made_if_missing(tmp_path).seal("alice", b"a", b"")
    (tmp_path / "keys" / "outer.json").write_bytes(b"not a key")
    (tmp_path / "keys" / "outer.json").chmod(0o600)
    ring = TestRingOfADataDirectory()
    ring.data = tmp_path
    other = ring.another(ring_of(tmp_path))
    assert other.give_up(other.lost()) == 1
    assert not (tmp_path / "keys" / "outer.json").exists()
    providers(tmp_path)["file"].create()
    assert other.rotate() == 0
    with pytest.raises(KeyDestroyedError):
        other.open("alice", sealed, b"")
