"""What a listener asks of its clients besides a token."""

from enum import StrEnum


class Demand(StrEnum):
    """What a listener asks of its clients; the words of the setting."""

    #: no certificate is asked for; a token it is
    off = "off"
    #: a certificate may take the place of the token
    optional = "optional"
    #: a certificate it is; a token may come with it
    required = "required"
    #: a certificate and a token
    required_with_token = "required_with_token"  # noqa: S105
