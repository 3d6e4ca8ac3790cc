"""The secret with which an app signs its webhooks: made anew wherever it is needed, and kept nowhere."""

import hashlib
import hmac

from healthsync_mqtt.model.base64url import base64url


def hook_secret(secret: str, client_id: str, epoch: int) -> str:
    """The text that is the key of the HMAC. What raises the app's epoch makes it another one."""
    key = hashlib.blake2b(secret.encode(), digest_size=32, person=b"hs webhooks").digest()
    return base64url(hmac.digest(key, f"{client_id}\n{epoch}".encode(), "sha256"))
