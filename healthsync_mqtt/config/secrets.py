"""Secrets that come from the environment and are no settings: ``config show`` never meets them."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.errors import ConfigError

KEY_PASSPHRASE: Final = "HEALTHSYNC_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable
KEY_PASSPHRASE_FILE: Final = "HEALTHSYNC_KEY_PASSPHRASE_FILE"  # noqa: S105

_LENT: Final = re.compile(r"/proc/\d+/fd/\d+")
_asks: list[Callable[[], bytes | None]] = []


def ask_by(ask: Callable[[], bytes | None]) -> None:
    """Where the environment has no passphrase and a key needs one, this process asks for it so.

    None from it: nobody is there to ask.
    """
    _asks[:] = [ask]


def passphrase_or_asked() -> bytes | None:
    """``key_passphrase``, else what a person says."""
    known = key_passphrase()
    return _asks[0]() if known is None and _asks else known


def key_passphrase(environ: Mapping[str, str] = os.environ) -> bytes | None:
    """The passphrase of the keys at rest, from the variable or from the private file it names; None: they have none.

    ConfigError when both are set, when it is empty, or when the file is open to others.
    """
    text, file = environ.get(KEY_PASSPHRASE), environ.get(KEY_PASSPHRASE_FILE)
    if text is not None and file is not None:
        raise ConfigError(f"{KEY_PASSPHRASE} and {KEY_PASSPHRASE_FILE} are both set", hint=f"unset {KEY_PASSPHRASE}")
    if file is not None:
        # What a process above this one was told at a terminal is in its memory, which no other account reads.
        held = Path(file).read_bytes() if _LENT.fullmatch(file) else read_private(Path(file))
        text = held.decode(errors="surrogateescape").rstrip("\r\n")
    if text is None:
        return None
    if not text:
        source = KEY_PASSPHRASE if file is None else file
        raise ConfigError(f"{source} holds an empty passphrase", hint=f"write one, or unset {KEY_PASSPHRASE}")
    return text.encode(errors="surrogateescape")
