"""Signing keys on disk: private, recorded, rotated without logging anyone out, retired only when nobody needs them."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.config import secrets
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE, KEY_PASSPHRASE_FILE, key_passphrase
from healthsync_mqtt.errors import ConfigError, ConflictError, NotFoundError, TokenError
from healthsync_mqtt.identity.keys import signing
from healthsync_mqtt.identity.keys import store as store_module
from healthsync_mqtt.identity.keys.signing import KeyRecord, Keyring, KeyState, free_from_us, jwks, key_id, states
from healthsync_mqtt.identity.keys.store import KeyStore, LiveKeys
from healthsync_mqtt.identity.login.tokens import MAX_LIFETIME_S, TokenIssuer, TokenVerifier
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.grammar import is_id

NOW = 1_800_000_000
SECOND = 1_000_000
NOW_US = NOW * SECOND
DEVICE = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def store(directory: Path) -> KeyStore:
    return KeyStore(directory)


def pems(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.pem"))


def state_of(store: KeyStore, kid: str, now_us: int) -> KeyState:
    return states(store.records(now_us), now_us)[kid]


def token(keys, now: float, lifetime_s: int = MAX_LIFETIME_S) -> str:
    return TokenIssuer(keys).issue(DEVICE, lifetime_s=lifetime_s, now=now).token


def test_a_first_key_is_created_and_found_again(store: KeyStore, directory: Path) -> None:
    first, again = store.keyring(NOW_US), store.keyring(NOW_US + SECOND)
    (pem,) = pems(directory)
    signer = first.signer(NOW)
    assert signer.kid == again.signer(NOW).kid == pem.stem == key_id(signer.key.public_key())
    assert is_id(signer.kid)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


def test_no_representation_shows_a_private_key() -> None:
    keyring = Keyring.generate()
    raw = keyring.signer(0).key.private_bytes_raw()
    for shown in (repr(keyring), repr(keyring.signer(0)), str(keyring.signer(0))):
        assert raw.hex() not in shown
        assert "PrivateKey" not in shown


def test_a_rotation_publishes_before_it_signs_and_old_tokens_live_on(store: KeyStore) -> None:
    old = store.keyring(NOW_US).signer(NOW).kid
    made = store.rotate(NOW_US, publish_s=60)
    assert state_of(store, made.kid, NOW_US + 59 * SECOND) is KeyState.next
    keyring = store.keyring(NOW_US)
    assert set(keyring.public) == {old, made.kid}
    before, after = token(keyring, NOW + 59.9), token(keyring, NOW + 60)
    assert keyring.signer(NOW + 59.9).kid == old
    assert keyring.signer(NOW + 60).kid == made.kid
    assert (state_of(store, old, NOW_US + 60 * SECOND), state_of(store, made.kid, NOW_US + 60 * SECOND)) == (
        KeyState.verifying,
        KeyState.signing,
    )
    later = store.keyring(NOW_US + 80_000 * SECOND)
    for each in (before, after):
        assert TokenVerifier(later).verify(each, now=NOW + 80_000).subject == "alice"


def test_a_second_rotation_waits_for_the_first(store: KeyStore) -> None:
    made = store.rotate(NOW_US, publish_s=60)
    with pytest.raises(ConflictError) as waiting:
        store.rotate(NOW_US + SECOND, publish_s=60)
    assert waiting.value.hint.endswith(f"healthsync key retire {made.kid}")
    store.retire(made.kid, NOW_US + SECOND)
    assert store.rotate(NOW_US + 2 * SECOND, publish_s=0).kid != made.kid


def test_the_signing_key_is_not_retired_even_by_force(store: KeyStore) -> None:
    kid = store.keyring(NOW_US).signer(NOW).kid
    with pytest.raises(ConflictError) as signs:
        store.retire(kid, NOW_US, force=True)
    assert "rotate" in signs.value.hint
    with pytest.raises(NotFoundError):
        store.retire("no-such-key", NOW_US)


def test_a_key_is_kept_while_its_tokens_may_live(store: KeyStore, directory: Path) -> None:
    old = store.keyring(NOW_US).signer(NOW).kid
    store.rotate(NOW_US, publish_s=10)
    last = NOW_US + (10 + MAX_LIFETIME_S + 60) * SECOND
    with pytest.raises(ConflictError, match="may be in use until"):
        store.retire(old, last - 1)
    gone = store.retire(old, last)
    assert gone.retired_us == last
    assert [path.stem for path in pems(directory)] != [old]
    assert len(pems(directory)) == 1
    assert old not in store.keyring(last).public
    assert state_of(store, old, last) is KeyState.retired
    assert store.retire(old, last + SECOND).retired_us == last


def test_retiring_by_force_voids_the_tokens_of_a_running_service(store: KeyStore) -> None:
    live = LiveKeys(store, NOW_US)
    old = live.signer(NOW).kid
    stolen = token(live, NOW)
    assert live.refresh(NOW_US) == frozenset()
    successor = KeyStore(store._directory).rotate(NOW_US, publish_s=0)
    assert live.refresh(NOW_US) == frozenset()
    assert live.signer(NOW).kid == successor.kid
    TokenVerifier(live).verify(stolen, now=NOW + 1)
    store.retire(old, NOW_US, force=True)
    assert live.refresh(NOW_US) == {old}
    with pytest.raises(TokenError):
        TokenVerifier(live).verify(stolen, now=NOW + 1)


def test_a_running_service_keeps_its_keys_when_the_files_turn_bad(store: KeyStore, directory: Path) -> None:
    live = LiveKeys(store, NOW_US)
    (directory / "keyring.json").write_text("{}")
    with pytest.raises(ConfigError, match="not a list of keys"):
        live.refresh(NOW_US)
    assert live.signer(NOW).kid in live.public


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
@pytest.mark.parametrize("name", ["*.pem", "keyring.json"])
def test_t54_a_loose_file_is_refused(store: KeyStore, directory: Path, name: str, mode: int) -> None:
    store.keyring(NOW_US)
    (path,) = directory.glob(name)
    path.chmod(mode)
    with pytest.raises(ConfigError) as loose:
        store.keyring(NOW_US)
    assert loose.value.hint == f"chmod 600 {path}"


def test_t54_a_linked_key_and_a_loose_directory_are_refused(store: KeyStore, directory: Path, tmp_path: Path) -> None:
    store.keyring(NOW_US)
    (pem,) = pems(directory)
    pem.rename(tmp_path / "moved.pem")
    pem.symlink_to(tmp_path / "moved.pem")
    with pytest.raises(ConfigError, match="symbolic link"):
        store.keyring(NOW_US)
    directory.chmod(0o770)
    with pytest.raises(ConfigError, match="other accounts"):
        store.keyring(NOW_US)


def test_a_key_that_is_not_the_recorded_one_is_refused(store: KeyStore, directory: Path) -> None:
    store.keyring(NOW_US)
    (pem,) = pems(directory)
    encoding, form, plain = (
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
    )  # fmt: skip
    pem.write_bytes(Ed25519PrivateKey.generate().private_bytes(encoding, form, plain))
    with pytest.raises(ConfigError, match="another key"):
        store.keyring(NOW_US)
    for content in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                    ec.generate_private_key(ec.SECP256R1()).private_bytes(encoding, form, plain)):  # fmt: skip
        pem.write_bytes(content)
        with pytest.raises(ConfigError, match="not an Ed25519 private key"):
            store.keyring(NOW_US)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": [{"kid": "a", "public": "AAAA"}]}', b"\xff"]
)
def test_records_that_are_none_are_refused(store: KeyStore, directory: Path, content: bytes) -> None:
    store.keyring(NOW_US)
    (directory / "keyring.json").write_bytes(content)
    with pytest.raises(ConfigError, match="not a list of keys"):
        store.keyring(NOW_US)


def test_a_record_under_another_keys_name_is_refused(store: KeyStore, directory: Path) -> None:
    store.keyring(NOW_US)
    path = directory / "keyring.json"
    index = json.loads(path.read_text())
    index["keys"][0]["kid"] = "../../etc/passwd"
    path.write_text(json.dumps(index))
    with pytest.raises(ConfigError, match="not a list of keys"):
        store.keyring(NOW_US)


def test_the_keys_of_an_older_release_are_adopted(store: KeyStore, directory: Path) -> None:
    made = [store.keyring(NOW_US).signer(NOW).kid, store.rotate(NOW_US, publish_s=0).kid]
    (directory / "keyring.json").unlink()
    with pytest.raises(ConfigError, match="which key signs"):
        store.keyring(NOW_US)
    active = directory / "active"
    active.touch(mode=0o600)
    active.write_text("gone\n")
    with pytest.raises(ConfigError, match="not there"):
        store.keyring(NOW_US)
    active.write_text(f"{made[0]}\n")
    keyring = store.keyring(NOW_US)
    assert (keyring.signer(NOW).kid, set(keyring.public)) == (made[0], set(made))
    assert not active.exists()


def test_keys_at_rest_are_under_the_passphrase(directory: Path) -> None:
    store = KeyStore(directory, b"correct horse")
    kid = store.keyring(NOW_US).signer(NOW).kid
    assert store.encrypted(kid)
    assert KeyStore(directory, b"correct horse").keyring(NOW_US).signer(NOW).kid == kid
    with pytest.raises(ConfigError, match="needs a passphrase") as missing:
        KeyStore(directory).keyring(NOW_US)
    assert KEY_PASSPHRASE in missing.value.hint
    with pytest.raises(ConfigError, match="does not open") as wrong:
        KeyStore(directory, b"wrong horse").keyring(NOW_US)
    assert "horse" not in str(wrong.value) + wrong.value.hint


def test_who_sits_at_a_terminal_is_asked_once_when_a_key_needs_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    KeyStore(directory, b"correct horse").keyring(NOW_US)
    asked: list[str] = []

    def ask() -> bytes:
        asked.append("asked")
        return b"correct horse"

    monkeypatch.setattr(secrets, "_asks", [ask])
    store = KeyStore.of_environment(directory)
    assert asked == []
    assert store.keyring(NOW_US).signers
    store.rotate(NOW_US, publish_s=60)
    assert len(store.keyring(NOW_US).signers) == 2
    assert asked == ["asked"]
    monkeypatch.setattr(secrets, "_asks", [])
    with pytest.raises(ConfigError, match="needs a passphrase"):
        KeyStore.of_environment(directory).keyring(NOW_US)


def test_plain_keys_still_open_when_a_passphrase_comes_later(directory: Path) -> None:
    kid = KeyStore(directory).keyring(NOW_US).signer(NOW).kid
    later = KeyStore(directory, b"new")
    assert later.keyring(NOW_US).signer(NOW).kid == kid
    assert not later.encrypted(kid)
    assert later.encrypted(later.rotate(NOW_US, publish_s=0).kid)


def test_where_the_passphrase_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.touch(mode=0o600)
    file.write_text("from a file\n")
    assert key_passphrase({}) is None
    assert key_passphrase({KEY_PASSPHRASE: "spoken"}) == b"spoken"
    assert key_passphrase({KEY_PASSPHRASE_FILE: str(file)}) == b"from a file"
    for environ in ({KEY_PASSPHRASE: ""}, {KEY_PASSPHRASE: "a", KEY_PASSPHRASE_FILE: str(file)}):
        with pytest.raises(ConfigError):
            key_passphrase(environ)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="open to other accounts"):
        key_passphrase({KEY_PASSPHRASE_FILE: str(file)})


def test_jwks_shows_public_halves_only(store: KeyStore) -> None:
    keyring = store.keyring(NOW_US)
    shown = jwks(keyring.public)
    (key,) = shown["keys"]
    assert set(key) == {"kty", "crv", "kid", "use", "alg", "x"}
    assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")
    assert keyring.signer(NOW).key.private_bytes_raw().hex() not in json.dumps(shown)
    import jwt

    claims = jwt.decode(
        token(keyring, NOW), jwt.PyJWKSet.from_dict(shown)[key["kid"]], algorithms=["EdDSA"],
        audience="healthsync-mqtt", options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )  # fmt: skip
    assert claims["sub"] == "alice"


PUBLIC = Ed25519PrivateKey.generate().public_key()
TIMES = st.integers(0, 1000)


@given(st.lists(st.tuples(TIMES, st.none() | TIMES), min_size=1, max_size=6), TIMES)
def test_one_key_signs_as_long_as_one_is_left(times: list, now_us: int) -> None:
    records = [
        KeyRecord(kid=f"k{n}", public=PUBLIC, created_us=0, signs_from_us=begun, retired_us=retired)
        for n, (begun, retired) in enumerate(times)
    ]
    found = states(records, now_us)
    alive = [each for each in records if each.retired_us is None]
    assert list(found.values()).count(KeyState.signing) == bool(alive)
    for each in alive:
        if found[each.kid] is KeyState.verifying:
            free = free_from_us(records, each.kid)
            assert free is not None
            assert free >= each.signs_from_us + MAX_LIFETIME_S * SECOND


def test_no_id_of_a_key_is_taken_for_an_option(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["-KlWW1G9cWUGluqV", "-KlWW1G9cWUGluqV"])
    monkeypatch.setattr(store_module, "key_id", lambda _: next(ids, "kgLlfDuaY7PYrRP6"))
    monkeypatch.setattr(signing, "key_id", lambda _: "kgLlfDuaY7PYrRP6")
    store.keyring(NOW_US)
    assert [record.kid for record in store.records(NOW_US)] == ["kgLlfDuaY7PYrRP6"]
