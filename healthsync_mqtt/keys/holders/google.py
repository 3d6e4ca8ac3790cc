"""Google Cloud KMS: ``encrypt``, ``decrypt`` and ``cryptoKeyVersions`` of a key, by a service account."""

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

import jwt

from healthsync_mqtt.config.holder_settings import HolderSettings
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.holders.grants import AccessGrant
from healthsync_mqtt.keys.holders.holder_request import ask, posted, secret_of
from healthsync_mqtt.keys.holders.port import WrappedSecret

_WHO: Final = "Google Cloud KMS"
_URL: Final = "https://cloudkms.googleapis.com"
_SCOPE: Final = "https://www.googleapis.com/auth/cloudkms"
_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIVES_S: Final = 3600


class GoogleHolder:
    """``keys.holders.port.Holder``. Older versions are the project's to destroy: others may have wrapped with them."""

    def __init__(self, settings: HolderSettings) -> None:
        self._settings = settings
        self._grant = AccessGrant(_WHO, self._form)

    def newest(self) -> str:
        """See ``Holder.newest``."""
        return _version(self._asked("GET", "")["primary"]["name"])

    def wrap(self, secret: bytes) -> WrappedSecret:
        """See ``Holder.wrap``."""
        said = self._asked("POST", ":encrypt", {"plaintext": b64encode(secret).decode()})
        return WrappedSecret(_version(said["name"]), b64decode(said["ciphertext"], validate=True))

    def unwrap(self, wrapped: WrappedSecret) -> bytes:
        """See ``Holder.unwrap``."""
        said = self._asked("POST", ":decrypt", {"ciphertext": b64encode(wrapped.blob).decode()})
        return b64decode(said["plaintext"], validate=True)

    def rotate(self) -> None:
        """See ``Holder.rotate``."""
        made = self._asked("POST", "/cryptoKeyVersions", {})
        self._asked("POST", ":updatePrimaryVersion", {"cryptoKeyVersionId": _version(made["name"])})

    def forget_older(self, newest: str) -> None:
        """Nothing: see ``GoogleHolder``."""

    def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        settings = self._settings
        if not settings.key:
            raise KeyUnavailableError(
                "it is not said which key of Google",
                hint="set keys.google.key to projects/…/locations/…/keyRings/…/cryptoKeys/…",
            )
        url = f"{(settings.url or _URL).rstrip('/')}/v1/{settings.key}{path}"
        sent = None if body is None else posted(body)
        return ask(_WHO, method, url, sent, self._grant.headers(), ca_file=settings.ca_file)

    def _form(self) -> tuple[str, Mapping[str, str]]:
        text = secret_of(_WHO, self._settings.credentials_file, "keys.google.credentials_file")
        try:
            known = json.loads(text)
            email, key, url = known["client_email"], known["private_key"], known["token_uri"]
            now = int(time.time())
            claims = {"iss": email, "scope": _SCOPE, "aud": url, "iat": now, "exp": now + _LIVES_S}
            made = jwt.encode(claims, key, algorithm="RS256", headers={"kid": known.get("private_key_id", "")})
        except (ValueError, KeyError, TypeError, jwt.PyJWTError):
            raise KeyUnavailableError(
                "keys.google.credentials_file is no key of a service account",
                hint="make one: gcloud iam service-accounts keys create",
            ) from None
        return self._settings.login_url or str(url), {"grant_type": _BEARER, "assertion": made}


def _version(name: str) -> str:
    return name.rpartition("/")[2]
