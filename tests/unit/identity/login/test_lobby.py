"""The lobby and its codes (T20): how they are read, counted, locked and used up once."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.errors import ConflictError, InputError, NotFoundError, TokenError
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.enrolment import CODE_LIFETIME_S, MAX_TRIES, normal_code, shown_code
from healthsync_mqtt.identity.login.lobby import STAY_S, Lobby
from healthsync_mqtt.identity.login.proof import PerhapsNewError
from healthsync_mqtt.identity.login.tokens import TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Role
from tests.support.entrance import Entrance

NOW = 1_800_000_000
NOW_US = NOW * 1_000_000


class _Everybody:
    """A directory in which every device may connect."""

    def entry(self, *_: object) -> object:
        return self


EVERYBODY = _Everybody()


@pytest.fixture
def registry(tmp_path: Path):
    with Registry.open(tmp_path / "registry.db") as opened:
        opened.add_user("alice", "all", NOW_US)
        yield opened


@pytest.fixture
def lobby(registry: Registry) -> Lobby:
    lobby = Lobby(EVERYBODY)
    code = registry.enrolments.create("alice", "watch", NOW_US)
    lobby.replace(registry.enrolments.open(NOW_US), [])
    lobby.code = code  # type: ignore[attr-defined]
    return lobby


def wrong(code: str) -> str:
    return code[:-1] + ("0" if code[-1] != "0" else "1")


def refused(lobby: Lobby, code: str, now: float = NOW, client_id: str = "enroll-a") -> str:
    with pytest.raises(TokenError) as caught:
        lobby.admit(client_id, code, now)
    assert str(caught.value) == "the credentials were refused"
    return caught.value.detail


def test_a_code_lets_in_for_a_minute(lobby) -> None:
    guest = lobby.admit("enroll-a", lobby.code, NOW)
    assert (guest.user_id, guest.device_id, guest.expires_at) == ("alice", "watch", NOW + STAY_S)
    late = NOW + CODE_LIFETIME_S - 1
    assert lobby.admit("enroll-a", lobby.code, late).expires_at == late + 1
    assert "expired" in refused(lobby, lobby.code, NOW + CODE_LIFETIME_S)


@pytest.mark.parametrize("client_id", ["", "enroll", "enrol-a", "alice-watch", "enroll-a/b", "enroll-" + "x" * 60])
def test_only_client_ids_for_enrolment(lobby, client_id: str) -> None:
    assert "client id" in refused(lobby, lobby.code, client_id=client_id)


def test_t20_five_wrong_codes_and_the_right_one_is_locked(lobby, registry: Registry) -> None:
    for _ in range(MAX_TRIES):
        assert refused(lobby, wrong(lobby.code)) == "the code is wrong"
    assert "locked" in refused(lobby, lobby.code)
    tries = lobby.take_tries()
    assert list(tries.values()) == [MAX_TRIES]
    assert lobby.take_tries() == {}
    registry.enrolments.note_tries(tries)
    assert registry.enrolments.open(NOW_US) == []
    with registry.write(), pytest.raises(TokenError):
        registry.enrolments.redeem(next(iter(tries)), NOW_US)


def test_t20_four_wrong_codes_do_not_lock(lobby) -> None:
    for _ in range(MAX_TRIES - 1):
        refused(lobby, wrong(lobby.code))
    assert lobby.admit("enroll-a", lobby.code, NOW)


def test_t20_tries_survive_a_restart(lobby, registry: Registry) -> None:
    for _ in range(MAX_TRIES - 1):
        refused(lobby, wrong(lobby.code))
    registry.enrolments.note_tries(lobby.take_tries())
    after = Lobby(EVERYBODY)
    after.replace(registry.enrolments.open(NOW_US), [])
    assert refused(after, wrong(lobby.code)) == "the code is wrong"
    assert "locked" in refused(after, lobby.code)


def test_t20_a_code_is_used_once(lobby, registry: Registry) -> None:
    handle = lobby.admit("enroll-a", lobby.code, NOW).handle
    with registry.write():
        assert registry.enrolments.redeem(handle, NOW_US) == ("alice", "watch")
    with registry.write(), pytest.raises(TokenError):
        registry.enrolments.redeem(handle, NOW_US)
    with registry.write(), pytest.raises(TokenError):
        registry.enrolments.redeem("ZZZZ", NOW_US)


def test_a_newer_code_takes_the_place_of_an_older_one(lobby, registry: Registry) -> None:
    newer = registry.enrolments.create("alice", "watch", NOW_US)
    lobby.replace(registry.enrolments.open(NOW_US), [])
    assert refused(lobby, lobby.code) == "no open enrolment has this code"
    assert lobby.admit("enroll-a", newer, NOW)


def test_a_code_that_nobody_knows_may_be_new_however_many_were_asked_for_before() -> None:
    """The second of two devices that enrolled within a quarter of a second was refused for good."""
    lobby = Lobby(EVERYBODY)
    for _ in range(50):
        with pytest.raises(PerhapsNewError):
            lobby.admit("enroll-a", "0000-0000-0000-0000", NOW)


def test_a_clock_that_was_ahead_when_it_was_read_costs_no_code_and_no_login(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had ended by that clock was left out of the memory, and stayed out when the clock was right again."""
    code = registry.enrolments.create("alice", "watch", NOW_US)
    registry.add_device("alice", "ring", NOW_US)
    with registry.write():
        token = registry.refresh_tokens.begin("alice", "ring", NOW_US).token
    monkeypatch.setattr(time, "time_ns", lambda: (NOW_US + 800 * 86_400 * 1_000_000) * 1_000)
    lobby = Directory(registry).lobby
    assert lobby.admit("enroll-a", code, NOW).handle
    assert lobby.admit("enroll-a", token, NOW).family


def test_the_code_is_not_in_the_file(lobby, tmp_path: Path) -> None:
    content = (tmp_path / "registry.db").read_bytes()
    assert lobby.code.encode() not in content
    assert lobby.code.replace("-", "").encode() not in content
    assert lobby.code.replace("-", "")[4:].encode() not in content


@given(st.text(alphabet="0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=16, max_size=16), st.data())
def test_a_code_is_read_as_people_type_it(code: str, data: st.DataObject) -> None:
    typed = "".join(
        data.draw(st.sampled_from({"0": "0oO", "1": "1iIlL"}.get(char, char + char.lower()))) for char in code
    )
    assert normal_code(shown_code(code)) == code
    assert normal_code(typed) == code
    assert normal_code(" ".join(typed[at : at + 4] for at in range(0, 16, 4))) == code


@given(st.text(max_size=60))
def test_what_is_no_code_is_refused(text: str) -> None:
    code = normal_code(text)
    assert code is None or (len(code) == 16 and normal_code(shown_code(code)) == code)


def test_the_names_of_the_lobby_are_nobody_elses(registry: Registry) -> None:
    registry.add_user("enroll", "all", NOW_US)
    assert not registry.add_device("enroll", "watch", NOW_US).client_id.startswith("enroll")
    for name in ("enroll", "enroll-app"):
        with pytest.raises(ConflictError):
            registry.add_subscriber(name, "*", "*", NOW_US)
    with pytest.raises(InputError):
        registry.enrolments.create("alice", "a/b", NOW_US)
    with pytest.raises(NotFoundError):
        registry.enrolments.create("nobody", "watch", NOW_US)


def test_the_door_knows_a_guest_by_its_role(registry: Registry) -> None:
    code = registry.enrolments.create("alice", "watch", NOW_US)
    directory = Entrance(registry, TokenVerifier(Keyring.generate()))
    login = directory.authenticate("enroll-a", "enroll", code.encode(), NOW)
    assert (login.principal.role, login.principal.user, login.jti) == (Role.enroll, None, None)
    assert login.enrolment == code[:4]
    for username in ("alice-watch", "enroll-a", None):
        with pytest.raises(TokenError):
            directory.authenticate("enroll-a", username, code.encode(), NOW)
