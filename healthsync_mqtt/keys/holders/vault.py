"""HashiCorp Vault and OpenBao: the transit engine (``/v1/transit/encrypt|decrypt|keys/…``), with a token of a file."""

from base64 import b64decode, b64encode
from typing import Any, Final

from healthsync_mqtt.config.holder_settings import HolderSettings
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.holders.holder_request import HolderRefusedError, ask, posted, secret_of
from healthsync_mqtt.keys.holders.port import WrappedSecret

_WHO: Final = "Vault"
_PREFIX: Final = "vault"


class VaultHolder:
    """``keys.holders.port.Holder``. The token is read for each request: an agent renews the file."""

    def __init__(self, settings: HolderSettings) -> None:
        self._settings = settings

    def newest(self) -> str:
        """See ``Holder.newest``."""
        return str(self._asked("GET", f"keys/{self._key}")["data"]["latest_version"])

    def wrap(self, secret: bytes) -> WrappedSecret:
        """See ``Holder.wrap``."""
        said = self._asked("POST", f"encrypt/{self._key}", {"plaintext": b64encode(secret).decode()})
        prefix, version, blob = str(said["data"]["ciphertext"]).split(":", 2)
        if prefix != _PREFIX:
            raise ValueError(prefix)
        return WrappedSecret(version.removeprefix("v"), b64decode(blob, validate=True))

    def unwrap(self, wrapped: WrappedSecret) -> bytes:
        """See ``Holder.unwrap``."""
        ciphertext = f"{_PREFIX}:v{wrapped.version}:{b64encode(wrapped.blob).decode()}"
        said = self._asked("POST", f"decrypt/{self._key}", {"ciphertext": ciphertext})
        return b64decode(said["data"]["plaintext"], validate=True)

    def rotate(self) -> None:
        """See ``Holder.rotate``."""
        self._asked("POST", f"keys/{self._key}/rotate")

    def forget_older(self, newest: str) -> None:
        """See ``Holder.forget_older``; a token that may not do it leaves them where they are."""
        least = int(newest)
        try:
            asked = {"min_decryption_version": least, "min_encryption_version": least}
            self._asked("POST", f"keys/{self._key}/config", asked)
            self._asked("POST", f"keys/{self._key}/trim", {"min_available_version": least})
        except HolderRefusedError as error:
            if error.status != 403:
                raise

    @property
    def _key(self) -> str:
        return self._settings.key or "healthsync"

    def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        settings = self._settings
        if not settings.url:
            raise KeyUnavailableError("it is not said where Vault is", hint="set keys.vault.url")
        headers = {"X-Vault-Token": secret_of(_WHO, settings.token_file, "keys.vault.token_file")}
        if settings.namespace:
            headers["X-Vault-Namespace"] = settings.namespace
        sent = None if method == "GET" else posted(body or {})
        url = f"{settings.url.rstrip('/')}/v1/{settings.mount or 'transit'}/{path}"
        return ask(_WHO, method, url, sent, headers, ca_file=settings.ca_file)
