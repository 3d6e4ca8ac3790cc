"""The registry: ids at mint, names that are unique, several processes, durability settings, file modes."""

import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.errors import ConfigError, ConflictError, InputError, NotFoundError, StoreError
from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.identity.people import schema
from healthsync_mqtt.identity.registry import Registry, check_id
from healthsync_mqtt.topics.grammar import is_id
from tests.support import child
from tests.support.patience import PATIENCE_S

NOW_US = 1_800_000_000_000_000
HOSTILE = [
    "#", "+", "a/b", "../", "$SYS", ".*", "[a-z]", "a\0", "\ufeff", "\u202ea", "x" * 65, "x" * 65_536, "",
    " alice", "alice ", "alice\n", "älice", "a.b", "a:b", "%s", "'; DROP TABLE users; --",
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "registry.db"


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    with Registry.open(path) as opened:
        yield opened


def test_a_user_with_its_consent(registry: Registry) -> None:
    user = registry.add_user("alice", "all", NOW_US)
    assert registry.users() == [user]
    assert registry.user("alice") == user
    first = registry.consent.history("alice")
    assert [(line.types, line.purpose.value, line.decided_us) for line in first] == [
        (None, "store", NOW_US),
        (None, "share", NOW_US),
        (None, "insights", NOW_US),
    ]
    registry.consent.grant("alice", ["steps", "weight"], NOW_US + 1, purposes=[Purpose.store], recorded_by="admin")
    last = registry.consent.history("alice")[-1]
    assert last.types == {"steps", "weight"}
    assert last.recorded_by == "admin"


def test_a_user_may_give_no_consent(registry: Registry) -> None:
    registry.add_user("bob", None, NOW_US)
    assert registry.consent.history("bob") == []


def test_what_exists_and_what_does_not_is_said_with_the_command(registry: Registry) -> None:
    registry.add_user("alice", "all", NOW_US)
    registry.add_device("alice", "watch", NOW_US)
    with pytest.raises(ConflictError) as taken:
        registry.add_user("alice", None, NOW_US)
    assert "healthsync user show alice" in taken.value.hint
    with pytest.raises(ConflictError) as again:
        registry.add_device("alice", "watch", NOW_US)
    assert "healthsync device token alice watch" in again.value.hint
    for call in (
        lambda: registry.user("bob"),
        lambda: registry.devices("bob"),
        lambda: registry.consent.history("bob"),
        lambda: registry.device("alice", "phone"),
        lambda: registry.remove_device("alice", "phone", NOW_US),
        lambda: registry.add_device("bob", "watch", NOW_US),
        lambda: registry.subscriber("backend"),
    ):
        with pytest.raises(NotFoundError) as missing:
            call()
        assert missing.value.hint.startswith("healthsync ")


def test_a_failed_write_leaves_nothing(registry: Registry) -> None:
    before = registry.generation()
    with pytest.raises(InputError):
        registry.add_user("alice", ["steps", "a b"], NOW_US)
    with pytest.raises(NotFoundError):
        registry.add_device("alice", "watch", NOW_US)
    assert registry.users() == []
    assert registry.generation() == before


@pytest.mark.parametrize("bad", HOSTILE)
def test_t11_hostile_ids_are_refused_where_they_are_minted(registry: Registry, bad: str) -> None:
    registry.add_user("alice", "all", NOW_US)
    for call in (
        lambda: registry.add_user(bad, None, NOW_US),
        lambda: registry.add_device("alice", bad, NOW_US),
        lambda: registry.add_device(bad, "watch", NOW_US),
        lambda: registry.add_subscriber(bad, "*", "*", NOW_US),
        lambda: registry.add_subscriber("s", [bad, "alice"], "*", NOW_US),
        lambda: registry.add_subscriber("s", "*", [bad, "steps"], NOW_US),
        lambda: registry.add_admin(bad, NOW_US),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert "is not an id" in str(caught.value)
        assert not bad or bad not in f"{caught.value}{caught.value.hint}" or len(bad) < 3
    assert [user.id for user in registry.users()] == ["alice"]
    assert registry.roster().devices == ()
    assert registry.roster().subscribers == ()


@given(st.text(max_size=70) | st.from_regex(r"[A-Za-z0-9_-]{1,70}", fullmatch=True))
def test_an_id_is_accepted_exactly_when_it_follows_the_grammar(text: str) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    if 1 <= len(text) <= 64 and all(char in alphabet for char in text):
        assert check_id("id", text) == text
    else:
        with pytest.raises(InputError):
            check_id("id", text)


@pytest.mark.parametrize("value", [None, 1, b"alice", ["alice"], True])
def test_an_id_is_text(value: object) -> None:
    with pytest.raises(InputError):
        check_id("user id", value)


def test_client_ids_are_user_and_device(registry: Registry) -> None:
    registry.add_user("alice", "all", NOW_US)
    device = registry.add_device("alice", "watch-1", NOW_US)
    assert device.client_id == "alice-watch-1"
    assert (device.principal.user, device.principal.device) == ("alice", "watch-1")


def test_client_ids_are_unique_over_all_principals(registry: Registry) -> None:
    for user in ("a", "a-b"):
        registry.add_user(user, "all", NOW_US)
    registry.add_subscriber("a-x", "*", "*", NOW_US)
    ids = [
        registry.add_device("a", "b-c", NOW_US).client_id,
        registry.add_device("a-b", "c", NOW_US).client_id,
        registry.add_device("a", "x", NOW_US).client_id,
    ]
    assert ids[0] == "a-b-c"
    assert len({*ids, "a-x"}) == 4
    for name in ids:
        with pytest.raises(ConflictError):
            registry.add_subscriber(name, "*", "*", NOW_US)
        with pytest.raises(ConflictError):
            registry.add_admin(name, NOW_US)


def test_long_names_are_shortened_and_stay_apart(registry: Registry) -> None:
    registry.add_user("u" * 64, "all", NOW_US)
    ids = {registry.add_device("u" * 64, "d" * length, NOW_US).client_id for length in (1, 2, 63, 64)}
    assert len(ids) == 4
    assert all(is_id(name) and len(name) <= 64 for name in ids)


def test_a_removed_device_keeps_its_name_and_may_come_back(registry: Registry) -> None:
    registry.add_user("alice", "all", NOW_US)
    first = registry.add_device("alice", "watch", NOW_US)
    assert registry.remove_device("alice", "watch", NOW_US + 5_000_000) == first
    assert registry.devices("alice") == []
    assert [device.removed_us for device in registry.devices("alice", removed=True)] == [NOW_US + 5_000_000]
    with pytest.raises(ConflictError):
        registry.add_subscriber(first.client_id, "*", "*", NOW_US)
    back = registry.add_device("alice", "watch", NOW_US + 9_000_000)
    assert back.client_id == first.client_id
    assert back.not_before_s == NOW_US // 1_000_000 + 10
    assert registry.device("alice", "watch") == back


def test_subscribers_name_users_and_types(registry: Registry) -> None:
    some = registry.add_subscriber("some", ["bob", "alice"], ["steps"], NOW_US)
    every = registry.add_subscriber("every", "*", ["*"], NOW_US)
    assert (some.users, some.types) == ({"alice", "bob"}, {"steps"})
    assert (every.users, every.types) == (None, None)
    assert registry.subscribers() == [every, some]
    assert registry.subscriber("some") == some
    with pytest.raises(InputError):
        registry.add_subscriber("nobody", [], "*", NOW_US)
    with pytest.raises(ConflictError):
        registry.add_subscriber("some", "*", "*", NOW_US)


def test_admins(registry: Registry) -> None:
    admin = registry.add_admin("root", NOW_US)
    assert registry.admins() == [admin]
    assert registry.roster().admins == (admin,)


def test_every_write_raises_the_generation_for_other_readers(path: Path, registry: Registry) -> None:
    with Registry.open(path) as other:
        seen = [other.generation()]
        for write in (
            lambda: registry.add_user("alice", "all", NOW_US),
            lambda: registry.consent.grant("alice", "all", NOW_US),
            lambda: registry.add_device("alice", "watch", NOW_US),
            lambda: registry.remove_device("alice", "watch", NOW_US),
            lambda: registry.add_device("alice", "watch", NOW_US),
            lambda: registry.add_subscriber("s", "*", "*", NOW_US),
            lambda: registry.add_admin("root", NOW_US),
        ):
            write()
            seen.append(other.generation())
        assert seen == sorted(set(seen))
        registry.roster()
        assert other.generation() == seen[-1]
        assert other.roster() == registry.roster()


def test_several_processes_write_at_once(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from healthsync_mqtt.identity.registry import Registry\n"
        "registry = Registry.open(Path(sys.argv[1]))\n"
        "for n in range(10): registry.add_user(f'{sys.argv[2]}-{n}', 'all', 1)"
    )
    writers = [child.start([sys.executable, "-c", script, str(path), f"w{n}"]) for n in range(3)]
    assert [writer.wait(PATIENCE_S) for writer in writers] == [0, 0, 0]
    with Registry.open(path) as registry:
        assert len(registry.users()) == 30
        assert registry.generation() == 30


def test_threads_share_one_registry(registry: Registry) -> None:
    threads = [
        threading.Thread(target=lambda n=n: [registry.add_user(f"t{n}-{i}", "all", 1) for i in range(5)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.users()) == registry.generation() == 20


def test_a_busy_registry_is_a_store_error(path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add_user("alice", "all", NOW_US)
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_S", 0.0)
    blocker = sqlite3.connect(path, isolation_level=None)
    with Registry.open(path) as impatient:
        blocker.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError):
            impatient.add_user("bob", "all", NOW_US)
        with pytest.raises(StoreError):
            impatient.generation()
        blocker.execute("ROLLBACK")
        assert impatient.add_user("bob", "all", NOW_US).id == "bob"
    blocker.close()


def test_a_closed_registry_is_a_store_error(path: Path) -> None:
    registry = Registry.open(path)
    registry.close()
    with pytest.raises(StoreError):
        registry.users()


def test_commits_are_durable(registry: Registry) -> None:
    connection = registry._tables._db.conn
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (3,)  # EXTRA: FULL and a synced directory
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_t54_the_file_is_private_and_loose_modes_are_refused(path: Path) -> None:
    Registry.open(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    for mode in (0o644, 0o660, 0o604):
        path.chmod(mode)
        with pytest.raises(ConfigError) as loose:
            Registry.open(path)
        assert loose.value.hint == f"chmod 600 {path}"
    path.chmod(0o600)
    path.parent.chmod(0o777)
    with pytest.raises(ConfigError) as open_directory:
        Registry.open(path)
    assert open_directory.value.hint == f"chmod 700 {path.parent}"


def test_t54_links_and_other_files_are_refused(tmp_path: Path) -> None:
    real = tmp_path / "real.db"
    Registry.open(real).close()
    (tmp_path / "linked.db").symlink_to(real)
    (tmp_path / "dangling.db").symlink_to(tmp_path / "elsewhere.db")
    (tmp_path / "folder.db").mkdir()
    os.mkfifo(tmp_path / "pipe.db", 0o600)
    for name in ("linked", "dangling", "folder", "pipe"):
        with pytest.raises(ConfigError):
            Registry.open(tmp_path / f"{name}.db")
    assert not (tmp_path / "elsewhere.db").exists()


def test_t54_another_owner_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Registry.open(path).close()
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError) as foreign:
        Registry.open(path)
    assert "another account" in str(foreign.value)


def test_a_file_that_is_no_registry_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"not a database" * 100)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as odd:
        Registry.open(path)
    assert "is not a registry" in str(odd.value)


def test_a_newer_schema_is_refused(path: Path) -> None:
    Registry.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError) as newer:
        Registry.open(path)
    assert "schema 99" in str(newer.value)


def test_a_migration_that_fails_leaves_the_old_schema(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Registry.open(path) as registry:
        registry.add_user("alice", "all", NOW_US)
    steps = schema.migrations()
    broken = (len(steps) + 1, "CREATE TABLE later (id TEXT);\nINSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr(schema, "migrations", lambda: [*steps, broken])
    with pytest.raises(StoreError):
        Registry.open(path)
    monkeypatch.setattr(
        schema,
        "migrations",
        lambda: [*steps, (len(steps) + 1, "-- a comment; with a semicolon\nCREATE TABLE later (id TEXT);")],
    )
    with Registry.open(path) as registry:
        assert [user.id for user in registry.users()] == ["alice"]
        assert registry._tables.tuples("SELECT * FROM later") == []


def test_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _ in schema.migrations()] == list(range(1, len(schema.migrations()) + 1))
