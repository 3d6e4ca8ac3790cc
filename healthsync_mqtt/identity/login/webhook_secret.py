"""Secrets and signatures of webhooks as Standard Webhooks 1.0 has them; a secret is made anew, and kept nowhere."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

_PREFIX: Final = "whsec_"


def webhook_secret(secret: str, name: str, generation: int) -> str:
    """The secret of a webhook, made of the installation's: ``whsec_`` and 32 bytes in base64."""
    key = hashlib.blake2b(secret.encode(), digest_size=32, person=b"hs out webhooks").digest()
    made = hmac.digest(key, f"{name}\n{generation}".encode(), "sha256")
    return _PREFIX + base64.b64encode(made).decode()


def signature(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``: one signature for each secret, so that an old one goes on for a while."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    keys = [base64.b64decode(each.removeprefix(_PREFIX)) for each in secrets]
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
