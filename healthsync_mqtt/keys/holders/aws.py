"""AWS KMS: ``Encrypt``, ``Decrypt``, ``ListKeyRotations``, ``RotateKeyOnDemand``, signed by Signature Version 4."""

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from healthsync_mqtt.config.holder_settings import HolderSettings
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.holders.holder_request import ask, posted, secret_of
from healthsync_mqtt.keys.holders.port import WrappedSecret

_WHO: Final = "AWS KMS"
_JSON: Final = "application/x-amz-json-1.1"
_SIGNED: Final = "content-type;host;x-amz-date"
ROTATED_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 1.0


class AwsHolder:
    """``keys.holders.port.Holder``. A version is an id of key material, as ListKeyRotations tells it.

    AWS destroys no older material: it goes with the key.
    """

    def __init__(
        self,
        settings: HolderSettings,
        *,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._wait = wait

    def newest(self) -> str:
        """See ``Holder.newest``."""
        asked: dict[str, Any] = {"IncludeKeyMaterial": "ALL_KEY_MATERIAL"}
        while True:
            said = self._asked("ListKeyRotations", asked)
            for each in said["Rotations"]:
                if each.get("KeyMaterialState") == "CURRENT":
                    return str(each["KeyMaterialId"])
            if not said.get("Truncated"):
                raise KeyUnavailableError("AWS KMS names no current key material", hint="see: healthsync key check")
            asked["Marker"] = said["NextMarker"]

    def wrap(self, secret: bytes) -> WrappedSecret:
        """See ``Holder.wrap``. The version is looked up first: after a rotation in between, it is wrapped once more."""
        version = self.newest()
        said = self._asked("Encrypt", {"Plaintext": b64encode(secret).decode()})
        return WrappedSecret(version, b64decode(said["CiphertextBlob"], validate=True))

    def unwrap(self, wrapped: WrappedSecret) -> bytes:
        """See ``Holder.unwrap``."""
        said = self._asked("Decrypt", {"CiphertextBlob": b64encode(wrapped.blob).decode()})
        return b64decode(said["Plaintext"], validate=True)

    def rotate(self) -> None:
        """See ``Holder.rotate``. AWS does it some time after it was asked to; this waits for it."""
        before = self.newest()
        self._asked("RotateKeyOnDemand", {})
        for _ in range(int(ROTATED_WITHIN_S / _LOOK_EVERY_S)):
            if self.newest() != before:
                return
            self._wait(_LOOK_EVERY_S)
        raise KeyUnavailableError(
            "AWS KMS has begun to rotate the key, and is not done", hint="in some minutes: healthsync key rewrap"
        )

    def forget_older(self, newest: str) -> None:
        """Nothing: see ``AwsHolder``."""

    def _asked(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        settings = self._settings
        if not settings.key or not settings.region:
            raise KeyUnavailableError("it is not said which key of AWS", hint="set keys.aws.key and keys.aws.region")
        url = settings.url or f"https://kms.{settings.region}.amazonaws.com/"
        sent = posted({"KeyId": settings.key} | body)
        text = secret_of(_WHO, settings.credentials_file, "keys.aws.credentials_file")
        try:
            known = json.loads(text)
            access, secret, session = known["AccessKeyId"], known["SecretAccessKey"], known.get("SessionToken") or ""
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KeyUnavailableError(
                "keys.aws.credentials_file holds no credentials",
                hint='write {"AccessKeyId": …, "SecretAccessKey": …}, as the AWS CLI prints them',
            ) from None
        now = datetime.fromtimestamp(self._clock(), UTC)
        headers = {"Content-Type": _JSON, "X-Amz-Target": f"TrentService.{action}"}
        headers |= signed(url, sent, now, region=settings.region, access=access, secret=secret, session=session)
        return ask(_WHO, "POST", url, sent, headers, ca_file=settings.ca_file)


def signed(
    url: str,
    body: bytes,
    now: datetime,
    *,
    region: str,
    access: str,
    secret: str,
    session: str = "",
) -> dict[str, str]:
    """The headers that Signature Version 4 adds to a POST of JSON 1.1 to the root of KMS."""
    parts = urlsplit(url)
    moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    scope = f"{day}/{region}/kms/aws4_request"
    canonical = "\n".join(
        [
            "POST",
            parts.path or "/",
            parts.query,
            f"content-type:{_JSON}",
            f"host:{parts.netloc}",
            f"x-amz-date:{moment}",
            "",
            _SIGNED,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    told = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for each in (day, region, "kms", "aws4_request"):
        key = hmac.digest(key, each.encode(), "sha256")
    signature = hmac.digest(key, told.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={_SIGNED}, Signature={signature}"
    more = {"X-Amz-Security-Token": session} if session else {}
    return {"X-Amz-Date": moment, "Authorization": credential, **more}
