"""Base64url without padding (RFC 7515 §2), as tokens, keys in JSON and codes in addresses are written."""

import base64


def base64url(data: bytes) -> str:
    """Bytes as text."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The bytes; other spellings of them are taken, too. ValueError for what is no base64."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
