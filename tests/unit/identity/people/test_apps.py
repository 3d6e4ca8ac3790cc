"""Apps in the registry, and their logins: a password without an end, hashed, rotated, revoked, checked beside."""

from pathlib import Path

import pytest

from healthsync_mqtt.errors import NotFoundError, TokenError
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.login import app_login
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.passwords import (
    hashed_password,
    new_password,
    normal_password,
    password_fits,
)
from healthsync_mqtt.identity.login.proof import CrowdedError, Login, Proof, UnprovedError
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.declaration import Declared

NOW_US = 1_795_413_600_000_000
BERLIN = Declared(zone="Europe/Berlin", bucket_s=3600)


class House:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.registry = Registry.open(path)
        self.registry.add_user("alice", None, NOW_US)
        self.device = self.registry.add_device("alice", "phone", NOW_US)
        self.password = new_password()
        self.registry.apps.add(self.device, ["openscale", "fit"], BERLIN, hashed_password(self.password), NOW_US)
        self.directory = Directory(self.registry)
        self.logins = Logins(self.directory, [])

    def login(self, password: str, name: str = "alice-phone") -> Login:
        proof = Proof(name, name, password.encode(), None)
        try:
            return self.logins.authenticate(proof, Demand.off, 0.0)
        except UnprovedError:
            self.logins.prove()
        return self.logins.authenticate(proof, Demand.off, 0.0)

    def refusal(self, password: str, name: str = "alice-phone") -> str:
        with pytest.raises(TokenError) as caught:
            self.login(password, name)
        return caught.value.detail


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "registry.db")


def test_a_password_can_be_typed_and_is_kept_as_a_hash() -> None:
    made = new_password()
    assert [len(part) for part in made.split("-")] == [5] * 5
    assert made != new_password()
    kept = hashed_password(made)
    assert kept.startswith("scrypt$16384$8$1$")
    assert made.replace("-", "") not in kept
    assert kept != hashed_password(made)
    for typed in (made, made.upper(), made.replace("-", " "), made.replace("-", "")):
        text = normal_password(typed.encode())
        assert text is not None
        assert password_fits(text, kept)
    assert not password_fits("a" * 25, kept)


@pytest.mark.parametrize("typed", ["", "a" * 24, "a" * 26, "a.b.c", "ä" * 25, "a" * 24 + "_", "~" * 25])
def test_what_cannot_be_one_of_ours_is_none(typed: str) -> None:
    assert normal_password(typed.encode()) is None


@pytest.mark.parametrize("kept", ["", "scrypt", "scrypt$x$8$1$a$b", "bcrypt$16384$8$1$AA$AA", "scrypt$16384$8$1$!$!"])
def test_a_hash_that_is_none_fits_nothing(kept: str) -> None:
    assert not password_fits("a" * 25, kept)


def test_an_app_logs_in_with_its_formats_and_what_is_declared(house: House) -> None:
    found = house.login(house.password)
    principal = found.principal
    assert (principal.user, principal.device, principal.client_id) == ("alice", "phone", "alice-phone")
    assert principal.formats == {"openscale", "fit"}
    assert principal.declared == BERLIN
    assert house.directory.declared("alice", "phone") == BERLIN
    assert found.expires_at > 5 * 365 * 86_400


def test_a_right_password_is_checked_once_and_a_wrong_one_is_told_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    monkeypatch.setattr(
        app_login, "password_fits", lambda text, kept: checked.append(text) or password_fits(text, kept)
    )
    for _ in range(3):
        house.login(house.password)
    for name in ("alice-phone", "nobody"):
        for _ in range(2):
            assert house.refusal("b" * 25, name) == "the password does not fit"
    assert len(checked) == 3


def test_nothing_is_checked_on_the_loop(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_login, "password_fits", lambda *_: pytest.fail("checked at once"))
    with pytest.raises(UnprovedError):
        house.logins.authenticate(Proof("alice-phone", "alice-phone", house.password.encode(), None), Demand.off, 0.0)


def test_passwords_that_wait_are_bounded_of_all_of_an_address_and_of_a_name_there(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    monkeypatch.setattr(app_login, "password_fits", lambda text, _kept: checked.append(text))

    def ask(name: str, address: str) -> bool:
        proof = Proof(name, name, new_password().encode(), None, address)
        with pytest.raises((UnprovedError, CrowdedError)) as caught:
            house.logins.authenticate(proof, Demand.off, 0.0)
        return isinstance(caught.value, UnprovedError)

    assert [ask("alice-phone", "10.0.0.1") for _ in range(4)] == [True, True, False, False]
    assert [ask(f"name-{number}", "10.0.0.1") for number in range(8)] == [True] * 6 + [False] * 2
    assert ask("alice-phone", "10.0.0.2")
    for number in range(200):
        ask(f"name-{number}", f"10.0.1.{number % 10}")
    while house.logins.prove():
        pass
    assert len(checked) == 64


def test_a_right_password_gets_a_place_among_guesses_and_waits_for_one_of_each_address(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guesses filled the line, and who was right was refused as if the password were wrong."""
    checked: list[str] = []
    monkeypatch.setattr(
        app_login, "password_fits", lambda text, kept: checked.append(text) or text == house.password.replace("-", "")
    )
    for number in range(200):
        proof = Proof("alice-phone", "alice-phone", new_password().encode(), None, f"10.0.0.{number % 9}")
        with pytest.raises((UnprovedError, CrowdedError)):
            house.logins.authenticate(proof, Demand.off, 0.0)
        proof = proof._replace(username=f"name-{number}")
        with pytest.raises((UnprovedError, CrowdedError)):
            house.logins.authenticate(proof, Demand.off, 0.0)
    mine = Proof("alice-phone", "alice-phone", house.password.encode(), None, "10.0.9.9")
    with pytest.raises(UnprovedError):
        house.logins.authenticate(mine, Demand.off, 0.0)
    assert house.logins.prove()
    assert len(checked) <= 10
    assert house.logins.authenticate(mine, Demand.off, 0.0).principal.user == "alice"


def test_who_asks_again_for_the_same_keeps_the_one_place(house: House) -> None:
    proof = Proof("alice-phone", "alice-phone", new_password().encode(), None, "10.0.0.1")
    for _ in range(50):
        with pytest.raises(UnprovedError):
            house.logins.authenticate(proof, Demand.off, 0.0)
    assert not house.logins.prove()


def test_who_guesses_makes_no_right_password_forgotten(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that connects for each message would wait in a line behind the guesses of strangers each time."""
    monkeypatch.setattr(app_login, "_MOST_KNOWN", 3)
    house.login(house.password)
    for number in range(8):
        assert house.refusal("c" * 25, f"name-{number}") == "the password does not fit"
    monkeypatch.setattr(app_login, "password_fits", lambda *_: pytest.fail("checked again"))
    proof = Proof("alice-phone", "alice-phone", house.password.encode(), None)
    assert house.logins.authenticate(proof, Demand.off, 0.0).principal.user == "alice"


@pytest.mark.parametrize("name", ["x" * 8_000, "no id", "alice-phone\N{COMBINING ACUTE ACCENT}"])
def test_a_name_that_nobody_can_have_is_neither_checked_nor_remembered(house: House, name: str) -> None:
    with pytest.raises(TokenError) as caught:
        house.logins.authenticate(Proof(name, name, new_password().encode(), None), Demand.off, 0.0)
    assert caught.value.detail == "the password does not fit"


def test_a_rotated_password_is_void_at_once_and_who_is_connected_is_lost(house: House) -> None:
    before = house.login(house.password)
    made = new_password()
    house.registry.apps.rotate("alice-phone", hashed_password(made), NOW_US + 1)
    assert house.directory.refresh() == {"alice-phone"}
    assert house.refusal(house.password) == "the password does not fit"
    assert house.login(made).principal == before.principal


def test_a_removed_app_is_no_app_any_more_and_its_name_may_be_a_devices(house: House) -> None:
    house.login(house.password)
    house.registry.remove_device("alice", "phone", NOW_US + 1)
    house.directory.refresh()
    with pytest.raises(TokenError):
        house.login(house.password)
    house.registry.add_device("alice", "phone", NOW_US + 2)
    house.directory.refresh()
    with pytest.raises(TokenError):
        house.login(house.password)
    assert house.registry.device("alice", "phone").principal.formats == frozenset()
    with pytest.raises(NotFoundError):
        house.registry.apps.of("alice-phone")


def test_a_suspended_app_may_not_connect_until_it_is_resumed(house: House) -> None:
    house.login(house.password)
    house.registry.revocation.suspend_device("alice", "phone", NOW_US)
    house.directory.refresh()
    with pytest.raises(TokenError):
        house.login(house.password)
    house.registry.revocation.resume_device("alice", "phone")
    house.directory.refresh()
    house.login(house.password)


def test_what_a_change_brings_is_what_a_whole_reading_has(house: House) -> None:
    house.registry.add_device("alice", "scale", NOW_US)
    house.registry.apps.add(
        house.registry.device("alice", "scale"), ["openscale"], Declared(slot="1"), hashed_password("a" * 25), NOW_US
    )
    house.directory.refresh()
    fresh = Directory(Registry.open(house.path))
    for name in ("alice-phone", "alice-scale"):
        assert house.directory.principal(name) == fresh.principal(name)
        assert house.directory.secret(name) == fresh.secret(name) != ""
    assert house.registry.apps.declarations() == {("alice", "phone"): BERLIN, ("alice", "scale"): Declared(slot="1")}


def test_no_hash_shows_in_what_is_printed_of_a_record(house: House) -> None:
    assert "scrypt" not in repr(house.registry.device("alice", "phone"))
