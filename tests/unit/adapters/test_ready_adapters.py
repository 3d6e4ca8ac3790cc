"""What the worker and the gateway know of providers is what the settings, and the files that they name, say now."""

from collections.abc import Callable
from pathlib import Path

import pytest

from healthsync_mqtt.adapters.ready_adapters import LiveReady


def section(**said: object) -> str:
    return "[adapters.oura]\n" + "".join(f'{name} = "{value}"\n' for name, value in said.items())


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A private file of the data directory; the same one again is another inode, as editors leave it."""

    def written(name: str, text: str) -> Path:
        file, new = tmp_path / name, tmp_path / f"{name}.new"
        new.touch(mode=0o600)
        new.write_text(text)
        new.rename(file)
        return file

    return written


def test_a_secret_that_was_changed_in_its_own_file_is_used_from_then_on(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    secret = write("secret", "first\n")
    write("healthsync.toml", section(client_id="us", client_secret_file=secret))
    live = LiveReady(tmp_path)
    assert live.now()["oura"].client.secret == "first"
    assert live.now() is live.now(), "nothing is different"
    write("secret", "other\n")
    assert live.now()["oura"].client.secret == "other"
    secret.unlink()
    assert "oura" not in live.now(), "as whom it is asked is not known"
    write("secret", "third\n")
    assert live.now()["oura"].client.secret == "third"


def test_a_file_that_the_settings_name_later_is_heeded_too(tmp_path: Path, write: Callable[..., Path]) -> None:
    write("healthsync.toml", section(client_id="us", client_secret="written-here"))
    live = LiveReady(tmp_path)
    assert live.now()["oura"].client.secret == "written-here"
    write("healthsync.toml", section(client_id="us", client_secret_file=write("secret", "first")))
    assert live.now()["oura"].client.secret == "first"
    write("secret", "other")
    assert live.now()["oura"].client.secret == "other"


def test_a_private_file_that_others_could_read_is_heeded_once_they_cannot(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    secret = write("secret", "first")
    secret.chmod(0o644)
    write("healthsync.toml", section(client_id="us", client_secret_file=secret))
    live = LiveReady(tmp_path)
    assert "oura" not in live.now()
    secret.chmod(0o600)
    assert live.now()["oura"].client.secret == "first"


def test_settings_that_cannot_be_read_leave_what_was_there(tmp_path: Path, write: Callable[..., Path]) -> None:
    write("healthsync.toml", section(client_id="us", client_secret="s"))
    live = LiveReady(tmp_path)
    before = live.now()
    write("healthsync.toml", "[adapters.oura\n")
    assert live.now() is before
    write("healthsync.toml", section(client_id="them", client_secret="s"))
    assert live.now()["oura"].client.id == "them"
