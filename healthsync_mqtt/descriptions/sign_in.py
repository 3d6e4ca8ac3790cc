"""How one can sign in, as it is told to who has not yet."""

import msgspec


class SignInWays(msgspec.Struct, frozen=True, kw_only=True):
    """What there is beside a one-time link.

    ``passkeys``: the origin of the pages that they are good for; null: there are none. ``organisation``: what the
    organisation is called whose login is good here; null: there is none.
    """

    passkeys: str | None
    organisation: str | None
