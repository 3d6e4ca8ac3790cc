"""The suites of the ring and of providers fail for what breaks a promise: each clause has a fault that it finds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.keys.book import KeyBook
from healthsync_mqtt.keys.outer_key import OuterKey
from healthsync_mqtt.keys.ring import KeyRing
from healthsync_mqtt.keys.sealed_bytes import DataKey
from healthsync_mqtt.testing.key_provider_contract import KeyProviderContract
from healthsync_mqtt.testing.memory_provider import MemoryProvider
from healthsync_mqtt.testing.ring_contract import RingContract

Plant = Callable[[pytest.MonkeyPatch], None]


def fails(clause: Callable[..., None], *arguments: Any) -> bool:
    """Whether a test of a suite does not pass."""
    try:
        clause(*arguments)
    except BaseException as error:  # pytest.raises fails with one of its own
        if isinstance(error, KeyboardInterrupt):
            raise
        return True
    return False


def unbound(patch: pytest.MonkeyPatch) -> None:
    wrap, unwrap = OuterKey.wrap, OuterKey.unwrap
    patch.setattr(OuterKey, "wrap", lambda self, key, _: wrap(self, key, b""))
    patch.setattr(OuterKey, "unwrap", lambda self, wrapped, _: unwrap(self, wrapped, b""))


def unwrapped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OuterKey, "wrap", lambda self, key, about: b"\x01" + self.versions[-1][0] + key + about)
    patch.setattr(OuterKey, "unwrap", lambda self, wrapped, about: wrapped[5 : len(wrapped) - len(about)])


def forgetful(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OuterKey, "rotated", OuterKey.new)


def never_newer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OuterKey, "rotated", lambda self: self)


def keeps_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OuterKey, "without_older", lambda self, _: self)


def keeps_the_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OuterKey, "without_older", lambda self, _: OuterKey(self.versions[-1:]))


def nameless(patch: pytest.MonkeyPatch) -> None:
    made = MemoryProvider.__init__
    patch.setattr(MemoryProvider, "__init__", lambda self: made(self, ""))


def stays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryProvider, "remove", lambda _: None)


PROVIDERS: list[tuple[Plant, str]] = [
    (unbound, "about_another_thing_it_is_not_unwrapped"),
    (unwrapped, "what_is_wrapped_tells_nothing"),
    (unwrapped, "a_changed_byte_is_found"),
    (forgetful, "a_rotation_takes_nothing_away"),
    (never_newer, "another_process_wraps_with_the_newest"),
    (keeps_all, "what_is_forgotten_is_gone"),
    (keeps_the_last, "what_was_the_newest_is_kept_when_another_process_has_rotated"),
    (stays, "what_is_removed_wraps_nothing_more"),
    (nameless, "it_has_a_name_and_looks_at_itself"),
]


@pytest.mark.parametrize(("plant", "clause"), PROVIDERS)
def test_the_suite_of_providers_finds_it(monkeypatch: pytest.MonkeyPatch, plant: Plant, clause: str) -> None:
    suite = KeyProviderContract()
    test = getattr(suite, f"test_{clause}")
    assert not fails(test, MemoryProvider())
    plant(monkeypatch)
    assert fails(test, MemoryProvider())


def placeless(patch: pytest.MonkeyPatch) -> None:
    seal, opened = DataKey.seal, DataKey.open
    patch.setattr(DataKey, "seal", lambda self, data, _: seal(self, data, b""))
    patch.setattr(DataKey, "open", lambda self, sealed, _: opened(self, sealed, b""))


def clear(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DataKey, "seal", lambda self, data, _: b"\x01" + self.id + data.ljust(28))
    patch.setattr(DataKey, "open", lambda _, sealed, __: sealed[9:].rstrip())


def lossy(patch: pytest.MonkeyPatch) -> None:
    seal = DataKey.seal
    patch.setattr(DataKey, "seal", lambda self, data, context: seal(self, data.rstrip(b"\0"), context))


def keeps_no_list(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyBook, "was_destroyed", lambda _, __: True)


def one_key_for_all(patch: pytest.MonkeyPatch) -> None:
    for name in ("seal", "open", "destroy"):
        method = getattr(KeyRing, name)
        patch.setattr(KeyRing, name, lambda self, _, *rest, method=method: method(self, "everybody", *rest))


def deaf(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyRing, "refresh", lambda _: None)


def keeps_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyBook, "destroy", lambda _, __: 1)


def leaves_traces(patch: pytest.MonkeyPatch) -> None:
    opened = KeyBook.__init__

    def careless(self: KeyBook, path: Path) -> None:
        opened(self, path)
        self._db.execute("PRAGMA secure_delete=OFF")

    patch.setattr(KeyBook, "__init__", careless)


def renews_in_place(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyRing, "renew", lambda _, __: None)


def each_its_own(patch: pytest.MonkeyPatch) -> None:
    add = KeyBook.add
    patch.setattr(KeyBook, "newest_of", lambda _, __: None)
    patch.setattr(KeyBook, "add", lambda self, *given, unless_there: add(self, *given, unless_there=False))


def one_namespace(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("healthsync_mqtt.keys.ring._SERVICE", "user:")


def rotates_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyRing, "rewrap", lambda _: 0)


def marks_openly(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DataKey, "mark", lambda _, data: data)


def marks_with_the_newest(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyBook, "oldest_of", KeyBook.newest_of)


RINGS: list[tuple[Plant, str]] = [
    (placeless, "in_another_place_nothing_is_opened"),
    (clear, "sealed_bytes_tell_nothing"),
    (clear, "every_flipped_bit_is_found"),
    (lossy, "what_is_opened_is_what_was_sealed"),
    (keeps_no_list, "a_key_that_is_lost_is_not_taken_for_one_that_was_destroyed"),
    (one_key_for_all, "another_user_opens_nothing"),
    (deaf, "what_is_destroyed_is_gone_for_everybody"),
    (deaf, "who_comes_back_has_another_key"),
    (keeps_rows, "what_is_destroyed_is_gone_for_everybody"),
    (leaves_traces, "a_destroyed_key_is_in_no_file"),
    (keeps_rows, "a_destroyed_key_is_in_no_file"),
    (renews_in_place, "a_renewed_key_leaves_the_older_open"),
    (each_its_own, "two_processes_make_one_key"),
    (one_namespace, "parts_of_the_service_have_keys_of_their_own"),
    (rotates_nothing, "a_rotation_touches_no_data"),
    (marks_with_the_newest, "a_renewed_key_leaves_marks_as_they_were"),
    (marks_openly, "marks_are_equal_for_equal_bytes_of_one_user"),
]


class Suite(RingContract):
    """Over one file."""

    def __init__(self, path: Path) -> None:
        self.path, self.provider = path, MemoryProvider()

    def another(self, ring: KeyRing | None = None) -> KeyRing:
        return KeyRing(KeyBook(self.path), {"memory": self.provider}, "memory")

    def files(self, ring: KeyRing) -> list[Path]:
        return [self.path]


@pytest.mark.parametrize(("plant", "clause"), RINGS)
def test_the_suite_of_rings_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant, clause: str
) -> None:
    sound = Suite(tmp_path / "sound.db")
    assert not fails(getattr(sound, f"test_{clause}"), sound.another())
    plant(monkeypatch)
    broken = Suite(tmp_path / "broken.db")
    assert fails(getattr(broken, f"test_{clause}"), broken.another())
