"""Passwords of clients of external brokers: one at a time, whoever makes it, and a broker is told of the newest."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from healthsync_mqtt.identity.login.credentials import CredentialStore, epoch_of


def test_two_that_need_it_at_once_are_given_the_same(tmp_path: Path) -> None:
    """The gateway hands out what the command that tells the broker makes, or the other way round."""
    store, together = CredentialStore(tmp_path / "credentials"), Barrier(4)

    def ensured(name: str) -> str:
        together.wait()
        return store.ensure(name, 1)[0]

    with ThreadPoolExecutor(4) as threads:
        for number in range(20):
            found = set(threads.map(ensured, [f"device-{number}"] * 4))
            assert found == {store.need(f"device-{number}", "")}


def test_one_of_an_older_epoch_is_replaced_and_a_good_one_stays(tmp_path: Path) -> None:
    store = CredentialStore(tmp_path / "credentials")
    old, fresh = store.ensure("watch")
    assert (epoch_of(old), fresh) == (0, True)
    assert store.ensure("watch") == (old, True)
    new, fresh = store.ensure("watch", 2)
    assert (epoch_of(new), fresh, store.ensure("watch", 1)) == (2, True, (new, True))
    assert not store.fits("watch", old.encode())


def test_a_broker_that_was_told_of_another_one_is_told_again(tmp_path: Path) -> None:
    store = CredentialStore(tmp_path / "credentials")
    first, _ = store.ensure("watch")
    second = store.rotate("watch")  # while the first is on its way to the broker
    store.told("watch", first)
    assert store.ensure("watch") == (second, True)
    store.told("watch", second)
    assert store.ensure("watch") == (second, False)
    assert store.names() == ["watch"], "the lock is nobody's password"
