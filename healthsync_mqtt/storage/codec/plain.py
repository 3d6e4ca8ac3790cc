"""Bytes as they are."""


class PlainCodec:
    """BodyCodec that changes nothing."""

    def encode(self, user: str, data: bytes) -> bytes:  # noqa: ARG002
        return data

    def decode(self, user: str, stored: bytes) -> bytes:  # noqa: ARG002
        return stored
