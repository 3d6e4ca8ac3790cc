"""Secrets of every shape and name are hidden before a text is cut."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.telemetry.redaction import MAX_TEXT, REDACTED, clean, clean_keys, redact

BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
mixed = st.text(BASE64URL, min_size=43, max_size=43).filter(
    lambda text: any(c.islower() for c in text) and any(c.isupper() for c in text)
)


@given(mixed)
def test_every_secret_of_43_characters_is_hidden(secret: str) -> None:
    for text in (secret, f"code {secret} is used", f"x={secret}", f"https://h/enroll/{secret}?a", f'"{secret}"'):
        assert secret not in redact(text)


def test_secrets_as_they_are_made_are_hidden() -> None:
    assert all(secret not in redact(f"a {secret} b") for secret in (secrets.token_urlsafe(32) for _ in range(2000)))


def test_a_secret_without_a_digit_is_hidden_and_names_of_one_case_are_not() -> None:
    secret = "qzZkoTnAVxcaWbcLcYdRmdEfHsfGjUpgOiKvXtBnwSq"
    assert len(secret) == 43
    assert secret not in redact(f"token={secret};")
    assert "-" not in secret
    worst = "a" * 42 + "B"
    assert worst not in redact(worst)
    name = "users-alice-devices-the_watch_on_the_left_arm_2026"
    assert redact(name) == name


@pytest.mark.parametrize("key", ["code", "enroll_code", "credential", "credentials", "passphrase", "key-passphrase",
    "api_key", "API-Key", "apikey", "private_key"])  # fmt: skip
def test_keys_that_hold_secrets(key: str) -> None:
    assert clean_keys({key: "abc", "in": {key: ["abc"]}}) == {key: REDACTED, "in": {key: REDACTED}}


def test_a_code_that_is_a_number_is_none() -> None:
    assert clean_keys({"code": 5, "exit_code": None}) == {"code": 5, "exit_code": None}


@pytest.mark.parametrize("before", range(MAX_TEXT - 60, MAX_TEXT + 1, 7))
def test_a_cut_never_leaves_half_a_secret(before: int) -> None:
    secret = "q7Zk-3Tn_Vx0aWb9LcYdRm2EfHs4GjUp6OiKvXtBn1S"
    shown = clean("a " * (before // 2) + secret)
    assert len(shown) <= MAX_TEXT + 1
    assert secret[:8] not in shown
    pem = clean("a " * (before // 2) + f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----")
    assert secret[:8] not in pem
