"""The token suite T01-T06: one shape is accepted, and every other input ends in the same error."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.errors import InputError, TokenError
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.tokens import LEEWAY_S, MAX_LIFETIME_S, TOKEN_TYPE, TokenIssuer, TokenVerifier
from healthsync_mqtt.model.principal import Principal, Role
from tests.support.steps import steps

NOW = 1_800_000_000
DEVICE = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")
KEYRING = Keyring.generate()
SIGNER = KEYRING.signer(0)
VERIFIER = TokenVerifier(KEYRING)
ISSUED = TokenIssuer(KEYRING).issue(DEVICE, lifetime_s=3600, now=NOW)
HEADER = {"alg": "EdDSA", "typ": TOKEN_TYPE, "kid": SIGNER.kid}
CLAIMS: dict[str, Any] = {
    "iss": "healthsync",
    "aud": "healthsync-mqtt",
    "sub": "alice",
    "did": "watch",
    "role": "device",
    "scope": "events:publish",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 3600,
    "jti": "j1",
}
MISSING = object()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def dump(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def token(header: object = HEADER, claims: object = CLAIMS, sign: Callable[[bytes], bytes] = SIGNER.key.sign) -> str:
    head = f"{b64(dump(header))}.{b64(dump(claims))}"
    return f"{head}.{b64(sign(head.encode()))}"


def refused(text: str, now: float = NOW) -> str:
    """The detail of the refusal; what the sender could see is the same for every cause."""
    with pytest.raises(TokenError) as caught:
        VERIFIER.verify(text, now=now)
    assert str(caught.value) == "the credentials were refused"
    assert caught.value.__cause__ is None
    return caught.value.detail


def claims(**changes: object) -> dict[str, Any]:
    return {key: value for key, value in {**CLAIMS, **changes}.items() if value is not MISSING}


def test_an_issued_token_verifies_to_what_was_issued() -> None:
    found = VERIFIER.verify(ISSUED.token, now=NOW + 1)
    assert (found.role, found.subject, found.device) == (Role.device, "alice", "watch")
    assert (found.jti, found.expires_at) == (ISSUED.jti, NOW + 3600)
    assert ISSUED.token not in repr(ISSUED)


@pytest.mark.parametrize("role", [Role.subscriber, Role.admin])
def test_other_roles_carry_their_name_and_no_device(role: Role) -> None:
    issued = TokenIssuer(KEYRING).issue(Principal(role=role, client_id="backend"), lifetime_s=60, now=NOW)
    found = VERIFIER.verify(issued.token, now=NOW)
    assert (found.role, found.subject, found.device) == (role, "backend", None)


@pytest.mark.parametrize("role", [Role.adapter, Role.bridge])
def test_roles_without_a_scope_get_no_token(role: Role) -> None:
    with pytest.raises(InputError):
        TokenIssuer(KEYRING).issue(Principal(role=role, client_id="x"), lifetime_s=60, now=NOW)
    assert "scope" in refused(token(claims=claims(role=role.value, did=MISSING)))


def test_the_suite_starts_from_a_token_that_is_accepted() -> None:
    assert VERIFIER.verify(token(), now=NOW).jti == "j1"


@pytest.mark.parametrize("lifetime", [0, -1, MAX_LIFETIME_S + 1])
def test_a_lifetime_beyond_a_day_is_not_issued(lifetime: int) -> None:
    with pytest.raises(InputError):
        TokenIssuer(KEYRING).issue(DEVICE, lifetime_s=lifetime, now=NOW)


# T01: the algorithm


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE", "", None, 1, ["EdDSA"], "eddsa", "EdDSA "])
@pytest.mark.parametrize("signature", [b"", bytes(64)])
def test_t01_no_algorithm(alg: object, signature: bytes) -> None:
    assert refused(token({**HEADER, "alg": alg}, sign=lambda _: signature))
    assert refused(token({**HEADER, "alg": alg})) == "alg is not EdDSA"


PUBLIC = SIGNER.key.public_key()
PEM = PUBLIC.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
SECRETS = {
    "pem": PEM,
    "pem_crlf": PEM.replace(b"\n", b"\r\n"),
    "pem_spaces": b"  " + PEM + b"  ",
    "pem_stripped": PEM.strip(),
    "der": PUBLIC.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    "raw": PUBLIC.public_bytes_raw(),
    "jwk": json.dumps({"kty": "OKP", "crv": "Ed25519", "x": b64(PUBLIC.public_bytes_raw())}).encode(),
    "empty": b"",
}


@pytest.mark.parametrize("form", SECRETS)
@pytest.mark.parametrize("alg", ["HS256", "HS512", "EdDSA"])
def test_t01_hmac_with_our_public_key(form: str, alg: str) -> None:
    digest = hashlib.sha512 if alg == "HS512" else hashlib.sha256
    forged = token({**HEADER, "alg": alg}, sign=lambda data: hmac.digest(SECRETS[form], data, digest))
    assert refused(forged)


def test_t01_other_asymmetric_algorithms_and_keys() -> None:
    ecdsa, large = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    signers: dict[str, Callable[[bytes], bytes]] = {
        "ES256": lambda data: ecdsa.sign(data, ec.ECDSA(hashes.SHA256())),
        "ES384": lambda _: bytes(64),
        "RS256": lambda data: large.sign(data, PKCS1v15(), hashes.SHA256()),
        "Ed448": Ed448PrivateKey.generate().sign,
        "Ed25519": SIGNER.key.sign,
    }
    for alg, sign in signers.items():
        assert refused(token({**HEADER, "alg": alg}, sign=sign))
        if alg != "Ed25519":
            assert refused(token(sign=sign))
    assert refused(token(sign=Ed25519PrivateKey.generate().sign)) == "the signature does not fit"
    assert refused(token(sign=lambda _: bytes(64))) == "the signature does not fit"


# T02: the header


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False, "crit": ["b64"]},
        {"b64": True},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MII"]},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64(PUBLIC.public_bytes_raw())}},
        {"cty": "JWT"},
        {"zip": "DEF"},
    ],
)
def test_t02_header_keys_outside_the_allow_list(extra: dict[str, object]) -> None:
    assert refused(token({**HEADER, **extra})) == "the header has other keys than alg, typ and kid"


@pytest.mark.parametrize("key", ["alg", "typ", "kid"])
def test_t02_header_keys_that_are_missing(key: str) -> None:
    assert refused(token({name: value for name, value in HEADER.items() if name != key}))


@pytest.mark.parametrize(
    "kid",
    [
        "../../etc/passwd",
        "/dev/null",
        "' OR 1=1 --",
        "",
        "k" * 1000,
        SIGNER.kid + "\0",
        None,
        7,
        [],
        {"a": 1},
        True,
    ],
)
def test_t02_kid_is_only_compared(kid: object) -> None:
    assert refused(token({**HEADER, "kid": kid})) == "kid names no key of ours"


def test_t02_a_key_in_the_header_is_not_used() -> None:
    other = Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(other.public_key().public_bytes_raw())}
    assert refused(token({**HEADER, "jwk": jwk}, sign=other.sign))


# T03: times


@pytest.mark.parametrize("name", ["iat", "nbf", "exp"])
@pytest.mark.parametrize(
    "value", [MISSING, None, str(NOW), float(NOW), NOW + 0.5, True, -1, 2**63, 10**400, [NOW], {"$date": NOW}]
)
def test_t03_times_are_whole_numbers(name: str, value: object) -> None:
    assert refused(token(claims=claims(**{name: value})))


@pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 4000])
def test_t03_numbers_that_are_none(word: bytes) -> None:
    assert refused(token(claims=dump(CLAIMS).replace(str(NOW + 3600).encode(), word)))


@pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"-Infinity"])
def test_t03_words_that_json_does_not_know_are_refused_in_any_claim(word: bytes) -> None:
    assert "payload" in refused(token(claims=dump(CLAIMS)[:-1] + b', "cnf": ' + word + b"}"))


def test_t03_the_end_is_exact() -> None:
    last = NOW + 3600
    assert VERIFIER.verify(token(), now=last - 0.001).expires_at == last
    assert refused(token(), now=last) == "the token has expired"
    assert refused(token(), now=last + 1e9) == "the token has expired"


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_t03_the_start_may_lie_a_minute_ahead(name: str) -> None:
    assert VERIFIER.verify(token(claims=claims(**{name: NOW + LEEWAY_S})), now=NOW)
    assert refused(token(claims=claims(**{name: NOW + LEEWAY_S + 1}))) == "the token is not valid yet"


@pytest.mark.parametrize("life", [MAX_LIFETIME_S + 1, 25 * 3600, 0, -1])
def test_t03_lifetimes(life: int) -> None:
    assert refused(token(claims=claims(exp=NOW + life))) == "the lifetime is not within 24 hours"
    assert VERIFIER.verify(token(claims=claims(exp=NOW + MAX_LIFETIME_S)), now=NOW)


# T04: who it is for


@pytest.mark.parametrize(
    "aud",
    [
        MISSING,
        None,
        "",
        ["healthsync-mqtt"],
        ["a", "healthsync-mqtt"],
        "healthsync",
        "healthsync-mqtt-2",
        "HealthSync-MQTT",
        1,
    ],
)
def test_t04_audience_is_equal(aud: object) -> None:
    assert refused(token(claims=claims(aud=aud))) == "aud is not ours"


@pytest.mark.parametrize(
    "iss", [MISSING, None, "", "urn:healthsync", "urn:", "health", "HEALTHSYNC", ["healthsync"], 1]
)
def test_t04_issuer_is_equal(iss: object) -> None:
    assert refused(token(claims=claims(iss=iss))) == "iss is not ours"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "rt+jwt", "application/hs-dev+jwt", "HS-DEV+JWT", None, 1])
def test_t04_type_is_equal(typ: object) -> None:
    assert refused(token({**HEADER, "typ": typ})) == "typ is not hs-dev+jwt"


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": MISSING},
        {"sub": "a/b"},
        {"sub": "#"},
        {"sub": ["alice"]},
        {"sub": 1},
        {"sub": ""},
        {"did": MISSING},
        {"did": "+"},
        {"did": None},
        {"did": "d" * 65},
        {"jti": MISSING},
        {"jti": 5},
        {"jti": "x" * 65},
        {"role": MISSING},
        {"role": "root"},
        {"role": ["device"]},
        {"role": "admin"},
        {"role": "subscriber", "scope": "canonical:subscribe"},
        {"scope": MISSING},
        {"scope": ["events:publish"]},
        {"scope": ""},
        {"scope": "events:publisher"},
        {"scope": "admin"},
    ],
)
def test_t04_claims_have_their_types_and_fit_the_role(changes: dict[str, object]) -> None:
    assert refused(token(claims=claims(**changes)))


# T05 and T06: the spelling


def test_t05_base64_is_unpadded_and_canonical() -> None:
    header, body, signature = token().split(".")
    for spelled in (
        f"{header}=.{body}.{signature}",
        f"{header}.{body}=.{signature}",
        f"{header}.{body}.{signature}==",
        f" {header}.{body}.{signature}",
        f"{header}.{body}.{signature}\n",
        f"{header}.{body}\0.{signature}",
        f"{header}.{body}.{signature[:-1]}",
        f"{header}.{body}.{signature}".replace("-", "+").replace("_", "/") + "+",
        f"{header}.{body}",
        f"{header}..{signature}",
        f".{body}.{signature}",
        "..",
        ".",
        "",
        f"{header}.{body}.{signature}.",
        f".{header}.{body}.{signature}",
        f"{header}.{body}.{signature}.{signature}",
        f"{header}\u0131.{body}.{signature}",
        "\ud800",
    ):
        assert refused(spelled)


def test_t05_a_second_spelling_of_the_same_signature_is_refused() -> None:
    text = token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for bits in (1, 2, 3):  # 64 bytes leave four bits of the last character unused
        other = alphabet[alphabet.index(text[-1]) + bits]
        assert base64.urlsafe_b64decode(text[-86:-1] + other + "==") == base64.urlsafe_b64decode(text[-86:] + "==")
        assert refused(text[:-1] + other) == "a part is not canonical base64url"


@pytest.mark.parametrize(
    "header",
    [
        dump(HEADER).replace(b"}", b', "alg": "EdDSA"}'),
        dump(HEADER).replace(b"{", b'{"kid": "other", '),
        b"[]",
        b'"EdDSA"',
        b"null",
        b"\xff",
        dump(HEADER) + b"x",
        dump(HEADER).decode().encode("utf-16"),
        b"\xef\xbb\xbf" + dump(HEADER),
        b"[" * 2000,
    ],
)
def test_t05_the_header_is_one_json_object_without_repeated_keys(header: bytes) -> None:
    assert "header" in refused(token(header))


@pytest.mark.parametrize(
    "body",
    [
        dump(CLAIMS).replace(b'"sub": "alice"', b'"sub": "bob", "sub": "alice"'),
        dump(CLAIMS).replace(b'"sub": "alice"', b'"sub": "bob", "\\u0073ub": "alice"'),
        dump(CLAIMS)[:-1] + b', "cnf": {"a": 1, "a": 2}}',
        b"[1]",
        b"",
        b"\xc3\x28",
        b'{"a":' * 500 + b"1" + b"}" * 500,
    ],
)
def test_t05_the_payload_is_one_json_object_without_repeated_keys(body: bytes) -> None:
    assert refused(token(claims=body))


@pytest.mark.parametrize("size", [4097, 5_000, 1_000_000])
@pytest.mark.parametrize("shape", ["{0}", "{0}.{0}.{0}", "eyJ.{0}"])
def test_t05_long_tokens_cost_nothing(size: int, shape: str) -> None:
    few = steps(lambda: refused("A" * 5_000))
    assert steps(lambda: refused(shape.format("A" * size))) == few
    assert refused(shape.format("A" * size)) == "the token is longer than 4 KiB"


def test_t05_a_signed_token_of_exactly_4_kib_is_accepted_and_one_more_is_not() -> None:
    def padded(size: int) -> str:
        return token(claims={**CLAIMS, "pad": "x" * size})

    size = next(n for n in range(2000, 3100) if len(padded(n)) > 4096)
    assert VERIFIER.verify(padded(size - 1), now=NOW)
    assert refused(padded(size)) == "the token is longer than 4 KiB"


def test_t06_encrypted_tokens_are_not_read() -> None:
    header = b64(json.dumps({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}).encode())
    assert refused(f"{header}..{b64(bytes(12))}.{b64(bytes(64))}.{b64(bytes(16))}")


@given(position=st.integers(0, len(ISSUED.token) - 1), change=st.characters(max_codepoint=0x17F))
def test_no_changed_token_verifies_to_other_claims(position: int, change: str) -> None:
    changed = ISSUED.token[:position] + change + ISSUED.token[position + 1 :]
    try:
        found = VERIFIER.verify(changed, now=NOW)
    except TokenError:
        return
    assert changed == ISSUED.token
    assert found == VERIFIER.verify(ISSUED.token, now=NOW)


@given(st.text(max_size=300) | st.from_regex(r"[\w=-]{0,80}(\.[\w=-]{0,90}){0,5}"))
def test_no_text_ends_in_another_error(text: str) -> None:
    assert refused(text)


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_no_signed_bytes_end_in_another_error(header: bytes, body: bytes) -> None:
    assert refused(token(header, body))
    assert refused(token(HEADER, body))


def test_tokens_of_an_older_key_stay_valid_after_a_rotation() -> None:
    rotated = Keyring.of(Ed25519PrivateKey.generate(), PUBLIC)
    verifier = TokenVerifier(rotated)
    assert verifier.verify(ISSUED.token, now=NOW).jti == ISSUED.jti
    fresh = TokenIssuer(rotated).issue(DEVICE, lifetime_s=60, now=NOW)
    assert verifier.verify(fresh.token, now=NOW).jti == fresh.jti
    with pytest.raises(TokenError):
        VERIFIER.verify(fresh.token, now=NOW)
