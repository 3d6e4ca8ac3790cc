"""Google's service accounts: who acts for the project of an app, rather than for a user.

A key file says who it is; with what it signs a token is had, for an hour.
"""

from typing import Final, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from healthsync_mqtt.adapters.notices import form_request, json_of, word_in
from healthsync_mqtt.adapters.web import CloudRequest, check_url
from healthsync_mqtt.errors import ConfigError

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LASTS_S: Final = 3_600
_LEAST_BITS: Final = 2_048


class ServiceAccount(NamedTuple):
    """An account, its key, and where its tokens come from."""

    email: str
    key: RSAPrivateKey
    token_url: str


def service_account(text: bytes, where: str) -> ServiceAccount:
    """What a key file says. ConfigError where it is none."""
    document = json_of(text)
    email, token_url = word_in(document, "client_email"), word_in(document, "token_uri")
    try:
        key = load_pem_private_key(word_in(document, "private_key").encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not email or not token_url or not isinstance(key, RSAPrivateKey) or key.key_size < _LEAST_BITS:
        raise ConfigError(
            f"{where} is no key file of a service account",
            hint="Google Cloud's console makes it: IAM, service accounts, keys, JSON",
        )
    return ServiceAccount(email, key, check_url(token_url))


def account_token(account: ServiceAccount, scope: str, now_us: int) -> CloudRequest:
    """The request for a token of an account. Its answer has it under ``access_token``."""
    now = now_us // 1_000_000
    claims = {"iss": account.email, "scope": scope, "aud": account.token_url, "iat": now, "exp": now + _LASTS_S}
    signed = jwt.encode(claims, account.key, algorithm="RS256")
    return form_request("POST", account.token_url, {}, {"grant_type": _GRANT, "assertion": signed})
