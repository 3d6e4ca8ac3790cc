"""Azure Key Vault: ``wrapkey``, ``unwrapkey`` and ``rotate`` of an RSA key (7.4), with the secret of an application."""

from collections.abc import Mapping
from typing import Any, Final

from healthsync_mqtt.config.holder_settings import HolderSettings
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.holders.grants import AccessGrant
from healthsync_mqtt.keys.holders.holder_request import ask, posted, secret_of
from healthsync_mqtt.keys.holders.port import WrappedSecret
from healthsync_mqtt.model.base64url import base64url, from_base64url

_WHO: Final = "Azure Key Vault"
_LOGIN: Final = "https://login.microsoftonline.com"
_SCOPE: Final = "https://vault.azure.net/.default"
_API: Final = "api-version=7.4"
_HOW: Final = "RSA-OAEP-256"


class AzureHolder:
    """``keys.holders.port.Holder``. A single version cannot be destroyed: it can be disabled, and goes with the key."""

    def __init__(self, settings: HolderSettings) -> None:
        self._settings = settings
        self._grant = AccessGrant(_WHO, self._form)

    def newest(self) -> str:
        """See ``Holder.newest``."""
        return _version(self._asked("GET", "")["key"]["kid"])

    def wrap(self, secret: bytes) -> WrappedSecret:
        """See ``Holder.wrap``."""
        said = self._asked("POST", f"/{self.newest()}/wrapkey", {"alg": _HOW, "value": base64url(secret)})
        return WrappedSecret(_version(said["kid"]), from_base64url(said["value"]))

    def unwrap(self, wrapped: WrappedSecret) -> bytes:
        """See ``Holder.unwrap``."""
        asked = {"alg": _HOW, "value": base64url(wrapped.blob)}
        return from_base64url(self._asked("POST", f"/{wrapped.version}/unwrapkey", asked)["value"])

    def rotate(self) -> None:
        """See ``Holder.rotate``."""
        self._asked("POST", "/rotate", {})

    def forget_older(self, newest: str) -> None:
        """Nothing: see ``AzureHolder``."""

    def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        settings = self._settings
        if not settings.url:
            raise KeyUnavailableError("it is not said which vault of Azure", hint="set keys.azure.url")
        url = f"{settings.url.rstrip('/')}/keys/{settings.key or 'healthsync'}{path}?{_API}"
        sent = None if body is None else posted(body)
        return ask(_WHO, method, url, sent, self._grant.headers(), ca_file=settings.ca_file)

    def _form(self) -> tuple[str, Mapping[str, str]]:
        settings = self._settings
        if not settings.tenant or not settings.client_id:
            raise KeyUnavailableError(
                "it is not said as whom Azure is asked", hint="set keys.azure.tenant and keys.azure.client_id"
            )
        secret = secret_of(_WHO, settings.client_secret_file, "keys.azure.client_secret_file")
        url = f"{(settings.login_url or _LOGIN).rstrip('/')}/{settings.tenant}/oauth2/v2.0/token"
        form = {"grant_type": "client_credentials", "client_id": settings.client_id, "client_secret": secret}
        return url, form | {"scope": _SCOPE}


def _version(kid: str) -> str:
    return kid.rpartition("/")[2]
